"""``check_usernames``: list usernames that look alike or are no longer allowed.

The command also recomputes the stored lookalike forms of all usernames.
"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.users.skeletons import Check


class Command(BaseCommand):
    """Run this after an upgrade of the Unicode tables, once all old processes have ended."""

    help = (
        "List usernames that look like another one or break today's rules, and store their "
        "lookalike forms again. The accounts keep their names and sign in as before."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        report = Check().run()
        twins = sorted(report.twins)
        refused = [
            (name, error.code, error.message) for name, error in sorted(report.refused.items())
        ]
        if options["json"]:
            people = [{"username": n, "code": c, "detail": str(m)} for n, c, m in refused]
            found = {"names": report.names, "twins": twins, "not_allowed": people}
            self.stdout.write(json.dumps(found))
            return
        for group in twins:
            self.stdout.write(f"Look alike: {', '.join(map(_shown, group))}")
        for name, _code, message in refused:
            self.stdout.write(f"Not allowed today: {_shown(name)}. {message}")
        self.stdout.write(
            f"{report.names} names: {len(twins)} groups look alike, {len(refused)} not allowed."
        )


def _shown(name: str) -> str:
    """Return ``name`` with its code points if it is not ASCII."""
    return name if name.isascii() else f"{name} ({ascii(name)[1:-1]})"
