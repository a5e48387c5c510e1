"""Steps around the lockdown of an account."""

from accounts.activity.services import Actor
from accounts.recovery import locks
from accounts.users.models import User
from tests.support.steps import WRONG


def change_password(alice: User) -> None:
    alice.set_password(WRONG)
    alice.save()


def switch_off(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def lock_down(alice: User) -> None:
    locks.lock_down(alice, Actor())
