"""Scopes: what an access token or an API key can be used for (RFC 6749 section 3.3).

``read`` and ``write`` cover every area; a scope such as ``sessions:read`` covers one area.
``groups`` adds the groups of the user to the token, for services that authorize by group.
``users:read`` lets staff read other users. ``admin:read`` and ``admin:write`` let staff find users
and act on their accounts. ``read`` and ``write`` include neither ``users:read`` nor ``admin:read``
and ``admin:write``.
"""

from collections.abc import Iterable

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError
from accounts.common.localization import listed

READ, WRITE, GROUPS, USERS = "read", "write", "groups", "users:read"
RIGHTS: dict[str, str | Promise] = {READ: _("View"), WRITE: _("View and change")}
AREAS: dict[str, str | Promise] = {
    "profile": _("Profile"),
    "sessions": _("Devices"),
    "activity": _("Activity"),
    # Email addresses, passwords and second factors.
    "credentials": _("Sign-in and email addresses"),
    "keys": _("API keys"),
    **({"apps": _("Connected apps")} if settings.AUTHSITE.openid_provider == "on" else {}),
}
_IN_WORDS = {(READ,): RIGHTS[READ], (READ, WRITE): RIGHTS[WRITE], (WRITE,): _("Change")}
_OF_AREAS = frozenset(f"{area}:{right}" for area in AREAS for right in (READ, WRITE))
# The scopes of the staff API.
ADMIN = frozenset({"admin:read", "admin:write"})
SCOPES = _OF_AREAS | ADMIN | {READ, WRITE, GROUPS, USERS}
_AREAS_IN_WORDS = AREAS | {"admin": _("Staff API")}
# The scopes that a sign-in grants if the client requests none.
DEFAULT = frozenset({READ, WRITE})


class UnknownScope(PublicError):
    """The scope does not exist, or exceeds the scopes of the token (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    message = _("This scope doesn’t exist, or it wasn’t granted to you.")


def at(audience: str) -> frozenset[str]:
    """Return the scopes of tokens for ``audience``: scopes of this site, and of the service."""
    return SCOPES.union(settings.AUTHSITE.audience_scopes.get(audience, ()))


def parse(text: str, audience: str = "") -> frozenset[str]:
    """Return the scopes in ``text``, which are separated by spaces.

    Raises:
        UnknownScope: one of the scopes does not exist at ``audience``, or ``text`` is empty.
    """
    scope = frozenset(text.split())
    if not scope or not scope <= at(audience):
        raise UnknownScope
    return scope


def narrowed(
    held: Iterable[str], wanted: frozenset[str] | None, audience: str = ""
) -> frozenset[str]:
    """Return the scopes in ``wanted``; if None, the scopes in ``held`` that ``audience`` knows.

    Raises:
        UnknownScope: ``held`` does not cover every scope in ``wanted``.
    """
    mine = frozenset(held)
    if wanted is None:
        return mine & at(audience)
    if not all(is_covered(mine, scope) for scope in wanted):
        raise UnknownScope
    return wanted


def is_covered(held: frozenset[str], scope: str) -> bool:
    """Return whether the scopes ``held`` include ``scope``.

    ``read`` includes ``sessions:read``, for example, and ``write`` includes ``sessions:write``.
    """
    return scope in held or (scope in _OF_AREAS and scope.partition(":")[2] in held)


def in_words(scope: Iterable[str]) -> str:
    """Return what ``scope`` allows, such as "View: Profile, Activity; View and change: Devices".

    A scope that covers no area is returned unchanged.
    """
    held, labels = frozenset(scope), _AREAS_IN_WORDS.items()
    rights = {
        area: tuple(right for right in RIGHTS if is_covered(held, f"{area}:{right}"))
        for area in _AREAS_IN_WORDS
    }
    words = [
        listed(
            (str(name), listed(str(label) for area, label in labels if rights[area] == those)), ":"
        )
        for those, name in _IN_WORDS.items()
        if those in rights.values()
    ]
    return listed([*words, *sorted(held & {GROUPS, USERS})], ";")


def written(scope: Iterable[str]) -> str:
    """Return the scopes as the text of a ``scope`` claim: sorted and separated by spaces."""
    return " ".join(sorted(scope))
