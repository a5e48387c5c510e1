"""Scopes: what an access token or an API key may be used for (RFC 6749 section 3.3).

``read`` and ``write`` cover every area, ``sessions:read`` only one. ``groups`` adds the groups of
the user to the token, for services that decide by them. ``users:read`` lets staff read other users.
It is not part of ``read`` and must be asked for by name.
"""

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError

READ, WRITE, GROUPS, USERS = "read", "write", "groups", "users:read"
RIGHTS: dict[str, str | Promise] = {READ: _("See"), WRITE: _("See and change")}
AREAS: dict[str, str | Promise] = {
    "profile": _("Profile"),
    "sessions": _("Sign-ins"),
    "activity": _("Security history"),
    "keys": _("API keys"),
}
_OF_AREAS = frozenset(f"{area}:{right}" for area in AREAS for right in (READ, WRITE))
SCOPES = _OF_AREAS | {READ, WRITE, GROUPS, USERS}
# What a sign-in grants if no scope is asked for.
DEFAULT = frozenset({READ, WRITE})


class UnknownScope(PublicError):
    """The scope does not exist, or exceeds what the token has (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    message = _("That is not a scope, or not one that you have.")


def parse(text: str) -> frozenset[str]:
    """Return the scopes in ``text``, which are separated by spaces.

    Raises:
        UnknownScope: one of them does not exist, or ``text`` is empty.
    """
    scope = frozenset(text.split())
    if not scope or not scope <= SCOPES:
        raise UnknownScope
    return scope


def narrowed(held: Iterable[str], wanted: frozenset[str] | None) -> frozenset[str]:
    """Return the scopes in ``wanted``, or all of ``held`` if ``wanted`` is None.

    Raises:
        UnknownScope: ``held`` does not cover all of ``wanted``.
    """
    mine = frozenset(held)
    if wanted is None:
        return mine
    if not all(is_covered(mine, scope) for scope in wanted):
        raise UnknownScope
    return wanted


def is_covered(held: frozenset[str], scope: str) -> bool:
    """Return whether ``held`` contains ``scope``, or ``read`` or ``write`` for all areas."""
    return scope in held or (scope in _OF_AREAS and scope.partition(":")[2] in held)


def written(scope: Iterable[str]) -> str:
    """Return the scopes as the ``scope`` claim contains them: sorted, separated by spaces."""
    return " ".join(sorted(scope))
