"""``enrolment_link``: print a link for a user who must have a second factor but has none.

With the link, the user signs in once and adds a second factor.
"""

from typing import Any

from django.core.management.base import CommandError

from accounts.management.answers import UserCommand
from accounts.twofactor import adding
from accounts.users.models import User


class Command(UserCommand):
    """Prints only the link, on one line, so that scripts can read it."""

    help = (
        "Print a one-time link for a user who must have a second factor and has none. It signs the "
        "user in to add one. Older links stop working. Give the link only to that user, because it "
        "replaces the password and the emailed code."
    )

    def result_for(self, user: User) -> dict[str, Any]:
        try:
            return {"user": user.username, "link": adding.new_link(user)}
        except adding.NotNeeded:
            raise CommandError(
                f"{user.username} needs no link: the account has a second factor "
                "(reset_second_factor removes it), needs none, or is deactivated."
            ) from None

    def words(self, facts: dict[str, Any]) -> str:
        return str(facts["link"])
