"""``lift_lock``: email the owner of a locked account a link that unlocks it."""

from typing import Any

from django.core.management.base import CommandError

from accounts.administration import steps
from accounts.administration.person import Facts
from accounts.administration.steps import Mode, Order
from accounts.management.answers import COMMAND_LINE, UserCommand
from accounts.users.models import User
from accounts.users.services import AccountChanged


class Command(UserCommand):
    """Does what staff can do on the page of a person. The history of the user records it."""

    help = (
        "Email the owner of a locked account a link that opens it. Somebody locked the "
        "account because they feared a thief: first make sure who asks."
    )

    def result_for(self, user: User) -> dict[str, Any]:
        if not user.is_locked_down:
            raise CommandError(f"{user.username} is not locked.")
        if not steps.is_locked(Facts(user)):
            raise CommandError(
                f"{user.username} is deactivated or has no email address for a link: reactivate "
                "the account in the admin, or run changepassword."
            )
        try:
            steps.lift_lock(Order(user, COMMAND_LINE, "", Mode.NOW))
        except AccountChanged:
            raise CommandError(
                "The account was changed at the same moment. Run it again."
            ) from None
        return {"username": user.username, "sent_to": user.email}
