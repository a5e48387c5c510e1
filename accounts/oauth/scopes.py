"""The scopes and services that apps can request, and the descriptions of the scopes.

Other services may define their own scopes. Only tokens for a service contain its scopes.
"""

from collections.abc import Collection, Mapping

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common.localization import listed, spoken
from accounts.tokens import scopes as api_scopes

DEFAULT = "openid profile email"
# The scopes ``read`` and ``write`` of the API are missing, because they include API keys. An app
# that creates an API key would keep its access after it is disconnected.
SCOPES: dict[str, str | Promise] = {
    "openid": _("The ID of the account"),
    "profile": _("Name, username, language and time zone"),
    "email": _("Email address"),
    "groups": _("Groups"),
    "offline_access": _("Stay connected after people sign out"),
    "profile:read": _("View the profile, with email address and groups, through the API"),
    "profile:write": _("Change the profile through the API"),
    "sessions:read": _("List sessions through the API"),
    "sessions:write": _("End sessions through the API"),
    "activity:read": _("View the security history through the API"),
}
# The scopes of the API of this site.
API_SCOPES = frozenset(name for name in SCOPES if ":" in name)
# With these scopes, an app can only read, and only while the user is signed in.
_HARMLESS = {"openid", "profile", "email", "groups"}.union(
    name for name in API_SCOPES if name.endswith(":read")
)


# The texts after the name of an app with these scopes. ``openid`` is missing, because every app
# sees the id of the account.
_FOR_PEOPLE: dict[str, str | Promise] = {
    "profile": _("sees your name, username, language and time zone"),
    "email": _("sees your email address"),
    "groups": _("sees your groups"),
    "profile:read": _("sees your profile, with your email address and groups"),
    "profile:write": _("can change your profile"),
    "sessions:read": _("sees where you’re signed in"),
    "sessions:write": _("can sign you out on any device"),
    "activity:read": _("sees your security history, including the apps you’ve connected"),
    "offline_access": _("stays connected after you sign out here"),
}
_WITH_PICTURE = {"profile": _("sees your name, picture, username, language and time zone")}


def is_sensitive(scope: Collection[str]) -> bool:
    """Return whether consent to the scopes ``scope`` requires recent authentication.

    The scopes of other services require it, because this site does not know what they allow.
    """
    return not _HARMLESS.issuperset(scope)


def of_service(audience: str) -> Mapping[str, str]:
    """Return the scopes that the service ``audience`` defines, with their descriptions.

    A scope that has the name of a scope of this site is left out.
    """
    defined, language = settings.AUTHSITE.audience_scopes.get(audience, {}), spoken()
    return {
        name: words.get(language) or next(iter(words.values()))
        for name, words in defined.items()
        if name not in SCOPES
    }


def known() -> Mapping[str, str | Promise]:
    """Return all scopes of this site and of other services, with their descriptions."""
    services = [of_service(audience) for audience in settings.AUTHSITE.token_audiences]
    return SCOPES | {name: words for defined in services for name, words in defined.items()}


def permissions_at(audience: str, scope: Collection[str]) -> list[str]:
    """Return what an app with these scopes can do at the service ``audience``, in words."""
    return [words for name, words in of_service(audience).items() if name in scope]


def in_words(scope: Collection[str]) -> list[str]:
    """Return what an app with these scopes can do, in words for the owner of the account."""
    shown = _FOR_PEOPLE | (_WITH_PICTURE if settings.AUTHSITE.avatars == "on" else {})
    words = [str(words) for name, words in shown.items() if name in scope]
    return words or [gettext("sees only an ID that stands for your account")]


def text_in_words(scope: str) -> str:
    """Return what an app or API client with these scopes can do, as a text."""
    held = scope.split()
    is_of_api = api_scopes.SCOPES.issuperset(held)
    return api_scopes.in_words(held) if is_of_api else listed(in_words(held), ";")


WORDS = dict.fromkeys(("oauth.Connection.scope", "accounts.LoginSession.scope"), text_in_words)


def audiences() -> tuple[str, ...]:
    """Return the services for which apps can request access tokens: this site and others."""
    return (settings.AUTHSITE.origin, *settings.AUTHSITE.token_audiences)
