"""Every page of the app, gathered."""

from accounts.mail.urls import urlpatterns as mail
from accounts.ops.urls import urlpatterns as ops
from accounts.profile.urls import urlpatterns as profile
from accounts.signin.urls import urlpatterns as signin
from accounts.signup.urls import urlpatterns as signup

urlpatterns = [*profile, *signup, *signin, *ops, *mail]
