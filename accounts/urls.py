"""The URLs of all pages of the app, except the support desk."""

from django.conf import settings
from django.urls import path, register_converter

from accounts.activity import views as activity
from accounts.apikeys import views as apikeys
from accounts.deletion import views as deletion
from accounts.emails import views as emails
from accounts.exports import views as exports
from accounts.mail import development_views
from accounts.ops import health, openapi, public_views
from accounts.ops.doctor import inside
from accounts.passwords import views as passwords
from accounts.profile import views as profile
from accounts.recovery import views as recovery
from accounts.sessions import undo
from accounts.sessions import views as sessions
from accounts.signin import views as signin
from accounts.signin.second_step_views import ReauthenticateView, SecondStepView
from accounts.signup import views as signup
from accounts.social import views as social
from accounts.social.services import ProviderConverter
from accounts.tokens import api as tokens
from accounts.twofactor import views as twofactor

register_converter(ProviderConverter, "provider")

# Under ``STRICT``, an emailed code does not sign in (ASVS 6.3.6).
EMAILED_CODES = [path("accounts/login/code/", signin.login_code, name="login_code")]
urlpatterns = [
    # Home page and the profile page.
    path("", profile.home, name="home"),
    path("accounts/profile/", profile.profile, name="profile"),
    path("accounts/profile/picture/", profile.change_picture, name="picture_change"),
    path("pictures/<str:name>", profile.picture, name="picture"),
    # Sessions.
    path("accounts/undo/", undo.undo, name="undo"),
    path("accounts/sessions/", sessions.sessions, name="sessions"),
    path("accounts/activity/<int:event_id>/", sessions.event, name="event"),
    # The API key pages.
    path("accounts/keys/", apikeys.keys, name="api_keys"),
    path("accounts/keys/new/", apikeys.new_key, name="api_key_new"),
    # Export of all data.
    path("accounts/data/", exports.data, name="data"),
    # Security history.
    path("accounts/activity/", activity.activity, name="activity"),
    path("accounts/activity/activity.csv", activity.export, name="activity_csv"),
    # Lock an account, object to a recovery, and review what a lock has suspended.
    path("accounts/lockdown/", recovery.lockdown, name="lockdown"),
    path("accounts/lockdown/<str:token>/", recovery.lockdown_link, name="lockdown_link"),
    path("accounts/recovery/", recovery.object_from_inside, name="recovery"),
    path("accounts/2fa/recovery/<str:token>/", recovery.object_by_link, name="recovery_cancel"),
    path("accounts/review/", recovery.review, name="review"),
    # Request and undo the deletion of the account.
    path("accounts/delete/", deletion.delete, name="delete_account"),
    path("accounts/delete/keep/", deletion.keep, name="deletion_keep"),
    path("accounts/delete/undo/<str:token>/", deletion.undo_link, name="deletion_undo"),
    # Email addresses.
    path("accounts/email/", emails.EmailView.as_view(), name="account_email"),
    path("accounts/email/refuse/<str:token>/", emails.refuse, name="address_refuse"),
    path("accounts/email/confirm/<str:key>/", emails.confirm_link, name="address_confirm"),
    # Change, set and reset the password.
    path("accounts/password/change/", passwords.change, name="account_change_password"),
    path("accounts/password/set/", passwords.change, name="account_set_password"),
    path("accounts/password/locked/", passwords.locked, name="account_locked"),
    path("accounts/password/reset/", passwords.reset, name="account_reset_password"),
    path(
        "accounts/password/reset/<str:key>/",
        passwords.ResetLinkView.as_view(),
        name="account_reset_password_key",
    ),
    # Second factors.
    path("accounts/2fa/", twofactor.overview, name="second_factors"),
    path("accounts/2fa/emailed-codes/", twofactor.emailed_codes, name="emailed_codes"),
    path(
        "accounts/2fa/totp/setup/",
        twofactor.AddAuthenticatorView.as_view(),
        name="totp_setup",
    ),
    path(
        "accounts/2fa/totp/<int:factor_id>/",
        twofactor.AuthenticatorView.as_view(),
        name="totp_change",
    ),
    path("accounts/2fa/passkeys/", twofactor.overview, name="passkeys"),
    path("accounts/2fa/passkeys/add/", twofactor.AddPasskeyView.as_view(), name="passkey_add"),
    path("accounts/2fa/passkeys/offer/", twofactor.offer_passkey, name="passkey_offer"),
    path(
        "accounts/2fa/passkeys/<int:factor_id>/",
        twofactor.PasskeyView.as_view(),
        name="passkey",
    ),
    path(
        "accounts/2fa/passkeys/<int:factor_id>/confirm/",
        twofactor.confirm_passkey,
        name="passkey_confirm",
    ),
    path("accounts/2fa/trusted/", twofactor.overview, name="trusted_browsers"),
    path(".well-known/passkey-endpoints", twofactor.passkey_endpoints, name="passkey_endpoints"),
    path("accounts/2fa/recovery-codes/", twofactor.recovery_codes, name="recovery_codes"),
    path("accounts/2fa/recovery-codes/file/", twofactor.codes_file, name="recovery_codes_file"),
    path("accounts/2fa/enrol/<str:token>/", twofactor.enrolment_link, name="enrolment_link"),
    # Strength meter.
    path("accounts/password/strength/", passwords.strength, name="password_strength"),
    # Sign-up pages.
    path("accounts/signup/", signup.signup, name="account_signup"),
    path("accounts/confirm-email/", signup.ConfirmView.as_view(), name="signup_confirm"),
    path("accounts/confirm-email/<str:key>/", signup.confirm_link, name="signup_confirm_link"),
    path("accounts/invitation/<str:key>/", signup.invitation, name="invitation"),
    # Sign-in flow.
    path("accounts/login/", signin.login, name="account_login"),
    *([] if settings.AUTHSITE.is_strict else EMAILED_CODES),
    path("accounts/login/passkey/", signin.login_passkey, name="login_passkey"),
    path("accounts/2fa/challenge/", SecondStepView.as_view(), name="second_step"),
    path("accounts/terms/", signin.accept_terms, name="terms"),
    path("accounts/logout/", signin.logout, name="account_logout"),
    path("accounts/reauthenticate/", ReauthenticateView.as_view(), name="account_reauthenticate"),
    path("accounts/language/", signin.choose, name="language"),
    path("accounts/inactive/", signin.inactive, name="account_inactive"),
    # Published signing keys.
    path(".well-known/jwks.json", tokens.jwks, name="jwks"),
    # Monitoring, the owner link, and public pages about the site.
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
    path(inside.PATH.lstrip("/"), inside.doctor, name="doctor"),
    path("metrics", health.figures, name="metrics"),
    path("accounts/owner/<str:token>/", public_views.owner_link, name="owner"),
    path("accounts/reference/", openapi.own_docs, name="own_reference"),
    path("accounts/what-next/", public_views.what_next, name="what_next"),
    path("brand/<str:name>", public_views.brand_file, name="brand_file"),
    *(
        path(name, public_views.site_icon, {"name": name}, name=name)
        for name in ("favicon.ico", "apple-touch-icon.png")
    ),
    path("accounts/theme/", public_views.choose_theme, name="theme"),
    path("client/<str:name>", public_views.client_file, name="client_file"),
    path("help/", public_views.help_page, name="help"),
    path("privacy/", public_views.privacy, name="privacy"),
    path(".well-known/security.txt", public_views.security_txt, name="security_txt"),
    path(".well-known/webauthn", public_views.webauthn, name="well_known_webauthn"),
    path(".well-known/assetlinks.json", public_views.asset_links, name="asset_links"),
    path(
        ".well-known/apple-app-site-association",
        public_views.apple_association,
        name="apple_apps",
    ),
    path(
        ".well-known/change-password",
        public_views.change_password,
        name="well_known_change_password",
    ),
    # Development mailbox.
    path("dev/mail/", development_views.mailbox, name="dev_mail"),
    path("dev/mail/<slug:name>/", development_views.mail, name="dev_mail_message"),
    path("dev/mail/<slug:name>/html/", development_views.html, name="dev_mail_html"),
    # Sign-in with providers.
    path("accounts/3rdparty/", social.connections, name="connections"),
    path("accounts/3rdparty/confirm/", social.confirm, name="provider_confirm"),
    path("accounts/<provider:provider>/login/", social.login, name="provider_login"),
    path("accounts/<provider:provider>/login/callback/", social.callback, name="provider_callback"),
]
