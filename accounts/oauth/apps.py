"""The app configuration of ``accounts.oauth``."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OAuthConfig(AppConfig):
    """Configures the OpenID Provider, which signs people in to apps.

    Nothing else imports ``accounts.oauth``. Therefore it registers itself.
    """

    name = "accounts.oauth"
    verbose_name = _("Apps")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what the rest of the site needs to know of apps."""
        from accounts.administration import roles
        from accounts.exports import words
        from accounts.oauth import id_tokens, personal_data, scopes  # noqa: F401 describes its tables
        from accounts.oauth.clients.services import check_development
        from accounts.oauth.connected import ConnectedApps
        from accounts.oauth.requests import hint_of
        from accounts.oauth.settings_file import Apps, RegistrationTokens
        from accounts.ops.doctor import inside
        from accounts.sessions import connected
        from accounts.settingsfile import kinds
        from accounts.signin import flow
        from accounts.tokens import keyring

        connected.register(ConnectedApps())
        keyring.FURTHER.append(id_tokens.SIGNED)
        flow.register(hint_of)
        kinds.FURTHER += [Apps, RegistrationTokens]
        inside.FURTHER.append(check_development)
        for column in ("oauth.Connection.scope", "accounts.LoginSession.scope"):
            words.VALUES[column] = scopes.text_in_words
        roles.register(
            self.label,
            {
                "view_client": _("See apps"),
                "add_client": _("Register apps"),
                "change_client": _("Change apps"),
            },
        )
