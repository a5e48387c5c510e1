"""The owner link: how the first administrator is made, with no default password anywhere.

Whoever can read the server's output holds the link. It's good once, for a day, and only while no
administrator exists; a newer one replaces it.
"""

from datetime import timedelta

from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import LinkSpent, Purpose
from accounts.common.client_info import ClientInfo
from accounts.common.languages import spoken
from accounts.common.links import absolute
from accounts.passwords import services as passwords
from accounts.users import services as users
from accounts.users.models import User

LINK = Purpose("owner.link", life=timedelta(days=1))
SITE = "site"


def administrator_exists() -> bool:
    """Whether anybody runs the site already."""
    return User.objects.filter(is_superuser=True, is_active=True).exists()


def new_link() -> str | None:
    """A fresh link, or None once there is an administrator."""
    return None if administrator_exists() else absolute("owner", codes.issue_link(LINK, SITE))


def is_good(token: str) -> bool:
    """Whether the link would still make an administrator."""
    return codes.subject_of(LINK, token) == SITE and not administrator_exists()


def create_owner(token: str, username: str, email: str, password: str, client: ClientInfo) -> User:
    """The first administrator. Of many at once, one is made.

    :class:`LinkSpent`, ``UsernameTaken``, ``EmailTaken``. The address counts as confirmed:
    whoever holds the link runs the server and answers for it.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if administrator_exists() or not codes.spend(LINK, SITE, token):
            raise LinkSpent
        user = users.create_administrator(username, email, hashed, language=spoken())
        record(user, events.SIGNED_UP, Actor(client))
        return user
