"""The URLs of all API calls."""

from django.conf import settings
from django.urls import URLPattern, path

from accounts.activity.api import ActivityView
from accounts.apikeys.api import KeysView, KeyView, RevokeView
from accounts.emails import api as emails
from accounts.exports import api as exports
from accounts.ops import openapi
from accounts.ops.config_api import ConfigView
from accounts.passwords import api as passwords
from accounts.profile.api import MeView, PersonView, UsernameView
from accounts.sessions import api as sessions
from accounts.signup import api as signup
from accounts.social import api as social
from accounts.staffapi import api as staff
from accounts.staffapi.bulk import BulkView
from accounts.staffapi.creation import InvitationsView, InvitationView, UsersView
from accounts.staffapi.details import AccountActivityView, DetailsView, EventsView
from accounts.tokens import api as tokens
from accounts.twofactor import api as twofactor

# Under ``STRICT``, an emailed code does not sign in (ASVS 6.3.6).
EMAILED_CODES = [
    path("login/code/", tokens.LoginCodeView.as_view(), name="api-login-code"),
    path("login/code/confirm/", tokens.CodeSignInView.as_view(), name="api-login-code-confirm"),
    path("session/code/", tokens.SessionCodeView.as_view(), name="api-browser-code"),
]
urlpatterns: list[URLPattern] = [
    path("users/", signup.UsersView.as_view(), name="api-users"),
    path("users/<uuid:id>/", PersonView.as_view(), name="api-user"),
    path("email/verify/", signup.VerifyView.as_view(), name="api-email-verify"),
    path("email/resend/", signup.ResendView.as_view(), name="api-email-resend"),
    path("email/correct/", signup.CorrectView.as_view(), name="api-email-correct"),
    path("invitation/check/", signup.InvitationView.as_view(), name="api-invitation-check"),
    path("invitation/accept/", signup.AcceptView.as_view(), name="api-invitation-accept"),
    path("config/", ConfigView.as_view(), name="api-config"),
    path("token/", tokens.TokenView.as_view(), name="api-token"),
    path("token/challenge/", tokens.ChallengeView.as_view(), name="api-token-challenge"),
    path("passkeys/options/", twofactor.SignInOptionsView.as_view(), name="api-passkey-options"),
    path("passkeys/registration/", twofactor.RegistrationView.as_view(), name="api-registration"),
    path("passkeys/", twofactor.PasskeysView.as_view(), name="api-passkeys"),
    path("passkeys/<int:id>/", twofactor.PasskeyView.as_view(), name="api-passkey"),
    path("factors/", twofactor.FactorsView.as_view(), name="api-factors"),
    path("factors/totp/setup/", twofactor.SetupView.as_view(), name="api-totp-setup"),
    path("factors/totp/", twofactor.AuthenticatorsView.as_view(), name="api-totps"),
    path("factors/totp/<int:id>/", twofactor.AuthenticatorView.as_view(), name="api-totp"),
    path("factors/recovery-codes/", twofactor.CodesView.as_view(), name="api-codes"),
    path("factors/recovery-codes/saved/", twofactor.SavedView.as_view(), name="api-codes-saved"),
    path("factors/trusted/", twofactor.TrustedBrowsersView.as_view(), name="api-trusted"),
    path("factors/trusted/<int:id>/", twofactor.TrustedView.as_view(), name="api-trusted-one"),
    *([] if settings.AUTHSITE.is_strict else EMAILED_CODES),
    path("token/enrolment/", twofactor.EnrolmentView.as_view(), name="api-enrolment"),
    path("token/enrolment/setup/", twofactor.EnrolmentSetupView.as_view(), name="api-enrol"),
    path("providers/", social.ProvidersView.as_view(), name="api-providers"),
    path("providers/<int:id>/", social.ProviderView.as_view(), name="api-provider"),
    path("token/refresh/", tokens.RefreshView.as_view(), name="api-token-refresh"),
    path("token/verify/", tokens.VerifyView.as_view(), name="api-token-verify"),
    path("token/revoke/", RevokeView.as_view(), name="api-token-revoke"),
    path("reauthenticate/", tokens.ReauthenticateView.as_view(), name="api-reauthenticate"),
    path("session/", tokens.SessionView.as_view(), name="api-browser-session"),
    path("session/refresh/", tokens.SessionRefreshView.as_view(), name="api-browser-refresh"),
    path("password/change/", passwords.ChangeView.as_view(), name="api-password-change"),
    path("password/set/", passwords.SetView.as_view(), name="api-password-set"),
    path("password/reset/", passwords.ResetView.as_view(), name="api-password-reset"),
    path("password/reset/check/", passwords.CheckResetView.as_view(), name="api-reset-check"),
    path("password/reset/confirm/", passwords.ConfirmResetView.as_view(), name="api-reset-confirm"),
    path("password/strength/", passwords.StrengthView.as_view(), name="api-password-strength"),
    path("me/", MeView.as_view(), name="api-me"),
    path("me/username/", UsernameView.as_view(), name="api-username"),
    path("me/exports/", exports.ExportsView.as_view(), name="api-exports"),
    path("me/exports/<uuid:id>/", exports.ExportView.as_view(), name="api-export"),
    path("emails/", emails.EmailsView.as_view(), name="api-emails"),
    path("emails/<slug:id>/", emails.EmailView.as_view(), name="api-email"),
    path("emails/<slug:id>/confirm/", emails.ConfirmView.as_view(), name="api-email-confirm"),
    path("emails/<slug:id>/primary/", emails.PrimaryView.as_view(), name="api-email-primary"),
    path("sessions/", sessions.SessionsView.as_view(), name="api-sessions"),
    path("sessions/others/", sessions.OthersView.as_view(), name="api-other-sessions"),
    path("sessions/<uuid:id>/", sessions.SessionView.as_view(), name="api-session"),
    path("browsers/", sessions.BrowsersView.as_view(), name="api-browsers"),
    path("browsers/<int:id>/", sessions.BrowserView.as_view(), name="api-browser"),
    path("keys/", KeysView.as_view(), name="api-keys"),
    path("keys/<slug:id>/", KeyView.as_view(), name="api-key"),
    path("admin/users/", UsersView.as_view(), name="api-admin-users"),
    path("admin/users/bulk/", BulkView.as_view(), name="api-admin-bulk"),
    path("admin/users/<uuid:id>/", staff.AccountView.as_view(), name="api-admin-user"),
    path("admin/users/<uuid:id>/details/", DetailsView.as_view(), name="api-admin-details"),
    path(
        "admin/users/<uuid:id>/activity/", AccountActivityView.as_view(), name="api-admin-activity"
    ),
    path("admin/users/<uuid:id>/<slug:act>/", staff.ActView.as_view(), name="api-admin-act"),
    path("admin/invitations/", InvitationsView.as_view(), name="api-invitations"),
    path("admin/invitations/<uuid:id>/", InvitationView.as_view(), name="api-invitation"),
    path("admin/events/", EventsView.as_view(), name="api-admin-events"),
    path("activity/", ActivityView.as_view(), name="api-activity"),
    path("schema/", openapi.description, name="api-schema"),
    path("docs/", openapi.docs, name="api-docs"),
]
