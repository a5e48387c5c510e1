"""``check_usernames``: list usernames that look alike or are no longer allowed.

The command also recomputes the stored lookalike forms of all usernames.
"""

from typing import Any

from accounts.management.answers import ResultCommand
from accounts.users.skeletons import Check


class Command(ResultCommand):
    """Run this after an upgrade of the Unicode tables, once all old processes have ended."""

    help = (
        "List usernames that look like another one or break today's rules, and store their "
        "lookalike forms again. The accounts keep their names and sign in as before."
    )

    def answer(self, **options: Any) -> dict[str, Any]:
        report = Check().run()
        people = [
            {"username": name, "code": error.code, "detail": str(error.message)}
            for name, error in sorted(report.refused.items())
        ]
        return {"names": report.names, "twins": sorted(report.twins), "not_allowed": people}

    def words(self, facts: dict[str, Any]) -> str:
        names, twins, refused = facts.values()
        return "\n".join(
            [
                *(f"Look alike: {', '.join(map(_shown, group))}" for group in twins),
                *(f"Not allowed today: {_shown(o['username'])}. {o['detail']}" for o in refused),
                f"{names} names: {len(twins)} groups look alike, {len(refused)} not allowed.",
            ]
        )


def _shown(name: str) -> str:
    """Return ``name`` with its code points if it is not ASCII."""
    return name if name.isascii() else f"{name} ({ascii(name)[1:-1]})"
