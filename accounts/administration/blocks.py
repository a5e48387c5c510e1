"""The reasons why a user cannot sign in, to this site or to single apps, in words for staff."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.sessions import connected
from accounts.users.models import User


@dataclass(frozen=True)
class Block:
    """Something that stops a user from signing in.

    ``code``: the reason, for programs.
    ``sentence``: the reason in a sentence, for staff.
    ``until``: when it ends by itself; None if it does not.
    ``advice``: what helps.
    """

    code: str
    sentence: str
    until: datetime | None = None
    advice: str = ""


def of_apps(user: User) -> Iterator[Block]:
    """Return the connected apps to which ``user`` can no longer sign in."""
    for app in {
        row.client_id: row.client for row in connected.apps().connections_of(user)
    }.values():
        known = {"name": user.username, "app": app.label, "group": app.required_group}
        if app.disabled_at:
            sentence = _("%(name)s can’t sign in to %(app)s because the app is disabled.")
            advice = _("A superuser can enable it. Other apps aren’t affected.")
            yield Block("app_disabled", sentence % known, advice=advice)
        elif app.required_group and app.required_group.name not in user.group_names:
            sentence = _("%(name)s can’t sign in to %(app)s: it’s for the group “%(group)s”.")
            advice = _("Other apps aren’t affected.")
            yield Block("not_in_group", sentence % known, advice=advice)
