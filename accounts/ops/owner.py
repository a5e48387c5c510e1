"""The owner link, which creates the first administrator.

The owner link replaces a default password. The server prints the link in its output, so everyone
who can read the output can use the link. The link works once, for one day, and only while there is
no administrator. A newer link replaces it.
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
from accounts.users.rights import superusers

LINK = Purpose("owner.link", life=timedelta(days=1))
SITE = "site"


def administrator_exists() -> bool:
    """Return whether there is an active superuser."""
    return superusers().exists()


def new_link() -> str | None:
    """Return a new link that creates the first administrator, or None if there already is one."""
    return None if administrator_exists() else absolute("owner", codes.issue_link(LINK, SITE))


def is_good(token: str) -> bool:
    """Return whether the link with this token can still create the first administrator."""
    return codes.subject_of(LINK, token) == SITE and not administrator_exists()


def create_owner(token: str, username: str, email: str, password: str, client: ClientInfo) -> User:
    """Create the first administrator and return the user.

    The email address counts as confirmed, because the person who has the link runs the server.

    Raises:
        LinkSpent: the link was used or has expired, or there is already an administrator.
        UsernameTaken: another account or pending sign-up has the username.
        EmailTaken: the email address belongs to another account.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if administrator_exists() or not codes.spend(LINK, SITE, token):
            raise LinkSpent
        user = users.create_administrator(username, email, hashed, language=spoken())
        record(user, events.SIGNED_UP, Actor(client))
        return user
