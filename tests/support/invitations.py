"""Steps that the tests of invitations share."""

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.users.models import User
from tests.support.administration import REASON
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, address_of, make_user, outbox, path_of

INVITE = "/admin/accounts/invitation/add/"
LIST = "/admin/accounts/invitation/"


def staff_with(*codenames: str, name: str = "carol", **fields: Any) -> tuple[User, Client]:
    """Create a member of staff with these permissions; return the user and a signed-in browser."""
    user = make_user(name, is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    user = User.objects.get(pk=user.pk)
    return user, signed_in(user)


def support() -> tuple[User, Client]:
    return staff_with("add_invitation")


def superuser(name: str = "carol") -> tuple[User, Client]:
    return staff_with(name=name, is_superuser=True)


def invite(browser: Client, name: str = "dave", **fields: Any) -> Any:
    return browser.post(INVITE, {"email": address_of(name), "days": "7", "reason": REASON} | fields)


def invited_link() -> str:
    """Return the path of the link in the newest email."""
    return path_of(outbox()[-1].action_url)


def accept(link: str, name: str = "dave", client: Client | None = None) -> Any:
    return (client or Client()).post(link, {"username": name, "password1": PASSWORD})


def exists(name: str = "dave") -> bool:
    return User.objects.filter(username=name).exists()
