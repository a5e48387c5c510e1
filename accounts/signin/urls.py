"""URLs of the sign-in flow. The names of some URLs are fixed, because allauth looks them up."""

from django.urls import path

from accounts.signin import language, passkey, views
from accounts.signin.challenge import SecondStepView
from accounts.signin.reauthenticate import ReauthenticateView

urlpatterns = [
    path("accounts/login/", views.login, name="account_login"),
    path("accounts/login/code/", views.login_code, name="login_code"),
    path("accounts/login/passkey/", passkey.login_passkey, name="login_passkey"),
    path("accounts/2fa/challenge/", SecondStepView.as_view(), name="second_step"),
    path("accounts/logout/", views.logout, name="account_logout"),
    path("accounts/reauthenticate/", ReauthenticateView.as_view(), name="account_reauthenticate"),
    path("accounts/language/", language.choose, name="language"),
    path("accounts/inactive/", views.inactive, name="account_inactive"),
]
