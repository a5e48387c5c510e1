"""The scopes and audiences that apps can request, and the descriptions of the scopes."""

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULT = "openid profile email"
# The scopes ``read`` and ``write`` of the API are missing, because they include API keys. With an
# API key, an app would keep access after a person has disconnected it.
SCOPES: dict[str, str | Promise] = {
    "openid": _("The ID of the account"),
    "profile": _("Name, username, language and time zone"),
    "email": _("Email address"),
    "groups": _("Groups"),
    "offline_access": _("Stay connected after people sign out"),
    "profile:read": _("View the profile through the API"),
    "profile:write": _("Change the profile through the API"),
    "sessions:read": _("List sessions through the API"),
    "sessions:write": _("End sessions through the API"),
    "activity:read": _("View the security history through the API"),
}


def audiences() -> tuple[str, ...]:
    """Return the services for which apps can request access tokens: this site, and others."""
    return (settings.AUTHSITE.origin, *settings.AUTHSITE.token_audiences)
