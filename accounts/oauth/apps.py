"""The app configuration of ``accounts.oauth``, and the personal data in its tables."""

from django.apps import AppConfig
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.common.personal_data import describe, internal, nobody, not_personal, secret


class OAuthConfig(AppConfig):
    """Configures the OpenID Provider, which signs people in to apps.

    Nothing else imports ``accounts.oauth``. Therefore it registers itself.
    """

    name = "accounts.oauth"
    verbose_name = _("Apps")
    default_auto_field = "django.db.models.BigAutoField"
    doctor_checks = ("accounts.oauth.clients.services.check_development",)
    export_words = ("accounts.oauth.scopes.WORDS",)
    settings_file = (
        "accounts.oauth.settings_file.Apps",
        "accounts.oauth.settings_file.RegistrationTokens",
    )

    def ready(self) -> None:
        """Register the functions by which the rest of the site deals with apps."""
        from accounts.administration import roles
        from accounts.common import leases
        from accounts.oauth import id_tokens, logout
        from accounts.oauth.connected import ConnectedApps
        from accounts.oauth.requests import hint_of
        from accounts.sessions import connected
        from accounts.signin import flow
        from accounts.tokens import keyring

        connected.register(ConnectedApps())
        keyring.FURTHER.append(id_tokens.SIGNED)
        flow.register(hint_of)
        leases.register(logout.WORK)
        roles.register(
            self.label,
            {
                "view_client": _("See apps"),
                "add_client": _("Register apps"),
                "change_client": _("Change apps"),
            },
        )


_HOUR = "an hour; then until the next `prune`"

describe(
    "oauth.Connection",
    "user",
    {
        "client audience scope": "which app may do what, and at which service",
        "since used_at": "since when, and when it was last used",
        "id": internal("numbers the rows"),
    },
    purpose="Connected apps.",
    kept="until the person disconnects the app",
)
describe(
    "oauth.PairwiseSubject",
    "user",
    {"subject sector": "the id by which the apps of one company know the person"},
    purpose="Ids that differ from app to app, so that apps cannot compare people.",
    kept="as long as the account exists",
)
describe(
    "oauth.AppSession",
    "session__user",
    {"client audience": "the app, and the service", "parent": internal("the browser's session")},
    purpose="Sessions of apps.",
    kept="as the session",
)
describe(
    "oauth.AuthorizationCode",
    "user",
    {
        "digest": secret("recognises the code"),
        "client version session given redirect_uri code_challenge dpop_jkt nonce scope audience "
        "expires_at used_at": internal("what the code was issued for"),
    },
    purpose="Codes that apps exchange for tokens.",
    kept=_HOUR,
)
describe(
    "oauth.AuthorizationRequest",
    lambda person: Q(subject__in=person.subjects) | Q(login_hint__in=person.emails | person.names),
    {
        "browser": secret("recognises the browser"),
        "id client redirect_uri scope audience state nonce response_mode code_challenge prompts "
        "max_age acr_values requires_acr login_hint ui_locales dpop_jkt is_of_network device "
        "subject chosen made_at expires_at": internal("what the app asked for"),
    },
    purpose="Sign-ins to apps that are not finished.",
    kept=_HOUR,
)
describe(
    "oauth.UnreadRequest",
    nobody,
    {
        "browser": secret("recognises the browser"),
        "id query made_at expires_at": internal("what the app asked for"),
    },
    purpose="Sign-ins to apps that the site does not know yet.",
    kept=_HOUR,
    remains="A row does not say whose it is, and expires.",
)
describe(
    "oauth.DeviceAuthorization",
    nobody,
    {
        "digest user_code": secret("recognises the device and the person"),
        "client scope audience agent ip interval next_poll_at is_allowed made_at expires_at": (
            internal("which device asks for what")
        ),
    },
    purpose="Devices that ask a person to sign in elsewhere.",
    kept="70 minutes; then until the next `prune`",
    remains="A row does not say whose it is, and expires.",
)
describe(
    "oauth.LogoutNotice",
    lambda person: Q(subject__in=person.subjects),
    {
        "session_id client subject created_at due_at attempts lease": internal(
            "which session of which app has ended"
        ),
    },
    purpose="Notices to apps that a session has ended.",
    kept="until the app has accepted it, but at most a day",
    remains="The app must still hear that the session has ended. The row contains ids only.",
)
not_personal(
    "It is about an app, not about people.",
    "oauth.Client oauth.ClientLogo oauth.ClientSecret oauth.FetchedKeys oauth.RegistrationToken",
)
