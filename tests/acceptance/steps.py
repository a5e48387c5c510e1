"""What a person does on the way to an account, for tests of anything that comes after.

A step takes Django's test client or the client of a running site: both have ``get`` and ``post``.
"""

import re
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage
from django.db import transaction
from django.test import Client

from accounts.mail.services import deliver_due
from accounts.passwords.services import hash_password
from accounts.users import services as users
from accounts.users.models import User
from tests.support.second import CHALLENGE, enrolled, take_second_step

PASSWORD = "vivid otter under glass"
SIGNUP, LOGIN, LOGOUT, CONFIRM, CODE = (
    f"/accounts/{page}/" for page in ("signup", "login", "logout", "confirm-email", "login/code")
)


def address_of(username: str) -> str:
    return f"{username}@example.org"


def make_user(username: str, *, password: str = PASSWORD) -> User:
    """A user with a confirmed address, made without the pages."""
    hashed = hash_password(password)
    with transaction.atomic():
        users.hold_name(username, until=None)
        user = users.create_user(username, hashed)
        users.confirm_address(user, address_of(username))
    return user


def sign_up(client: Any, username: str, /, **more: str) -> Any:
    """Fill in the sign-up form; ``next="…"`` and any field may be given."""
    fields = {"username": username, "email": address_of(username), "password1": PASSWORD}
    return client.post(SIGNUP, {**fields, **more})


def sign_in(client: Any, login: str, password: str = PASSWORD, **more: str) -> Any:
    """Fill in the sign-in form; ``remember="on"``, ``next="…"``."""
    return client.post(LOGIN, {"login": login, "password": password, **more})


def make_staff(username: str, *, has_factor: bool = True) -> User:
    """The same, who may do everything in the admin, and has an authenticator."""
    user = make_user(username)
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    if has_factor:
        enrolled(user)
    return User.objects.get(pk=user.pk)


def sign_in_twice(client: Any, user: User, **more: str) -> Any:
    """Both steps of a sign-in; what the second one answers."""
    assert sign_in(client, user.username, **more).url == CHALLENGE
    return take_second_step(client, user)


def signed_up(username: str) -> Client:
    """The browser of somebody who has signed up and confirmed."""
    client = Client()
    sign_up(client, username)
    response = confirm(client, username)
    assert response.url == "/"
    return client


def confirm(client: Client, username: str) -> Any:
    """Type the code of the mail into the browser that signed up."""
    return client.post(CONFIRM, {"code": code_in(mail_to(username).body)})


def mail_to(username: str) -> EmailMessage:
    """The newest mail to a person, in process: what waits leaves now."""
    deliver_due()
    return [sent for sent in mail.outbox if sent.to == [address_of(username)]][-1]


def code_in(text: str) -> str:
    """The code, which stands alone on a line."""
    (code,) = re.findall(r"(?m)^[A-Z2-9]{8}$", text)
    return str(code)


def link_in(text: str) -> str:
    """The path of the link to confirm by, which stands alone on a line."""
    (path,) = re.findall(rf"(?m)^https?://[^/]+({CONFIRM}[\w-]+/)$", text)
    return str(path)


def next_on(response: Any) -> str:
    """Where a form on the page would lead afterwards, as its hidden field says."""
    found = re.search(r'name="next" value="([^"]*)"', response.content.decode())
    return found[1].replace("&amp;", "&") if found else ""


def is_signed_in(client: Client) -> bool:
    """Whether the site greets this browser, or asks who it is."""
    return client.get("/").status_code == 200


def by_password(client: Client, **more: str) -> Any:
    """Alice's first step."""
    return sign_in(client, "alice", **more)


def by_mail(client: Client, **more: str) -> Any:
    """The same, by a code that is mailed."""
    client.post(CODE, {"login": "alice", **more})
    return client.post(CODE, {"code": code_in(mail_to("alice").body)})


FIRST_STEPS = (by_password, by_mail)
