"""``list_sessions``: list where a user is signed in."""

from typing import Any

from accounts.management.answers import UserCommand
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User


class Command(UserCommand):
    """Changes nothing. ``end_sessions`` revokes the sessions."""

    help = "List the browsers, programs and apps in which a user is signed in, the last used first."

    def result_for(self, user: User) -> dict[str, Any]:
        rows = connected.fetch(sessions.live(user))
        return {"username": user.username, "sessions": [*map(_facts, rows)]}


def _facts(row: LoginSession) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "device": str(row),
        "stays_connected": row.is_app and row.refresh_digest != "",
        "ip": row.ip,
        "methods": " ".join(row.amr),
        "begun": row.begun_at,
        "used": row.used_at,
        "ends": row.expires_at,
    }
