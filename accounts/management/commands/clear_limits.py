"""``clear_limits``: let a user sign in again after too many attempts."""

from typing import Any

from accounts.administration import steps
from accounts.administration.person import Facts
from accounts.administration.steps import Mode, Order
from accounts.management.answers import COMMAND_LINE, UserCommand
from accounts.users.models import User


class Command(UserCommand):
    """Does what staff can do on the page of a person. The history of the user records it."""

    help = (
        "Reset the limits that keep a user from signing in. If somebody guesses the password, "
        "that person gets new guesses too."
    )

    def result_for(self, user: User) -> dict[str, Any]:
        order = Order(user, COMMAND_LINE, "", Mode.NOW)
        limits = steps.clear_limits(order) if Facts(user).used else []
        return {"username": user.username, "cleared": bool(limits), "limits": limits}
