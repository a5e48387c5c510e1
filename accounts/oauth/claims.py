"""The claims about a person that an app gets, by scope (OpenID Connect Core section 5.4)."""

from collections.abc import Collection
from typing import Any

from accounts.users.models import User

BY_SCOPE = {
    "profile": ("preferred_username", "name", "locale", "zoneinfo", "updated_at"),
    "email": ("email", "email_verified"),
    "groups": ("groups",),
}


def claims_of(user: User, scope: Collection[str]) -> dict[str, Any]:
    """Return the claims about ``user`` that ``scope`` grants, except those without a value.

    ``sub`` is missing, because it depends on the app. A scope that is unknown here grants no claim.
    """
    claims: dict[str, Any] = {}
    if "profile" in scope:
        claims["preferred_username"] = user.username
        claims["name"] = user.display_name or user.username
        claims["zoneinfo"] = user.time_zone
        if user.language:
            claims["locale"] = user.language
        claims["updated_at"] = int(user.updated_at.timestamp())
    # ``User.email`` is always a confirmed address.
    if "email" in scope and user.email:
        claims |= {"email": user.email, "email_verified": True}
    if "groups" in scope:
        claims["groups"] = user.group_names
    return claims
