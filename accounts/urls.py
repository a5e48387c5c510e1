"""The URLs of all pages of the app."""

from accounts.activity.urls import urlpatterns as activity
from accounts.apikeys.urls import urlpatterns as apikeys
from accounts.emails.urls import urlpatterns as emails
from accounts.lockdown.urls import urlpatterns as lockdown
from accounts.mail.urls import urlpatterns as mail
from accounts.ops.urls import urlpatterns as ops
from accounts.password_pages.urls import urlpatterns as password_pages
from accounts.passwords.urls import urlpatterns as passwords
from accounts.profile.urls import urlpatterns as profile
from accounts.session_pages.urls import urlpatterns as session_pages
from accounts.signin.urls import urlpatterns as signin
from accounts.signup.urls import urlpatterns as signup
from accounts.social.urls import urlpatterns as social
from accounts.tokens.urls import urlpatterns as tokens
from accounts.twofactor_pages.urls import urlpatterns as twofactor_pages

urlpatterns = [
    *profile,
    *session_pages,
    *apikeys,
    *activity,
    *lockdown,
    *emails,
    *password_pages,
    *twofactor_pages,
    *passwords,
    *signup,
    *signin,
    *tokens,
    *ops,
    *mail,
    # Last, because its patterns depend on the configured providers.
    *social,
]
