"""Scopes: what a token may be used for (RFC 6749 section 3.3). One table for tokens and keys.

``read`` and ``write`` are for every area; ``sessions:read`` for one. ``groups`` puts the person's
groups into the token, for services that decide by them. ``users:read`` lets staff read others,
and is never part of ``read``: a program of theirs that needs it asks for it.
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
# What a sign-in gives that asks for nothing in particular.
DEFAULT = frozenset({READ, WRITE})


class UnknownScope(PublicError):
    """No such scope, or more than one has (RFC 6749 section 5.2: ``invalid_scope``)."""

    code = "invalid_scope"
    message = _("That is not a scope, or not one that you have.")


def parse(text: str) -> frozenset[str]:
    """The scopes in ``text``, separated by spaces; :class:`UnknownScope`."""
    scope = frozenset(text.split())
    if not scope or not scope <= SCOPES:
        raise UnknownScope
    return scope


def narrowed(held: Iterable[str], wanted: frozenset[str] | None) -> frozenset[str]:
    """``wanted``, if ``held`` has all of it, or else all of ``held``; :class:`UnknownScope`."""
    mine = frozenset(held)
    if wanted is None:
        return mine
    if not all(is_covered(mine, scope) for scope in wanted):
        raise UnknownScope
    return wanted


def is_covered(held: frozenset[str], scope: str) -> bool:
    """Whether ``held`` has ``scope``, itself or as part of a wider one."""
    return scope in held or (scope in _OF_AREAS and scope.partition(":")[2] in held)


def written(scope: Iterable[str]) -> str:
    """As the claim and the answers have it."""
    return " ".join(sorted(scope))
