"""What people do at the site, for every test: sign up, sign in, read their mail.

A step takes Django's test client or the client of a running site: both have ``get`` and ``post``.
"""

import json
import re
import sqlite3
from contextlib import closing
from email.message import EmailMessage
from typing import Any

import psycopg
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.db import transaction
from django.test import Client as Browser

from accounts.common import crypto
from accounts.mail.message import Message
from accounts.mail.models import OutgoingMail
from accounts.mail.services import PURPOSE, deliver_due
from accounts.users import services as users
from accounts.users.models import User
from tests.support.client import Client
from tests.support.second import CHALLENGE, enrolled, take_second_step
from tests.support.site import Site, text_of

PASSWORD = "vivid otter under glass"
WRONG = "quiet harbour paints nine clocks"
# Nobody's code: a character of it can't be mistaken for another.
WRONG_CODE = "ZZZZ9999"
SIGNUP, LOGIN, LOGOUT, CONFIRM, CODE = (
    f"/accounts/{page}/" for page in ("signup", "login", "logout", "confirm-email", "login/code")
)


def address_of(username: str) -> str:
    return f"{username}@example.org"


def make_user(username: str, *, password: str | None = PASSWORD, **fields: Any) -> User:
    """A user with a confirmed address, made without the pages; ``None`` is no usable password."""
    hashed = make_password(password)
    with transaction.atomic():
        users.take_username(username, until=None)
        user = users.create_user(username, hashed)
        users.confirm_email(user, address_of(username))
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def make_staff(username: str, *, has_factor: bool = True) -> User:
    """A superuser, with an authenticator unless ``has_factor`` is false."""
    user = make_user(username, is_staff=True, is_superuser=True)
    if has_factor:
        enrolled(user)
    return User.objects.get(pk=user.pk)


def sign_up(
    client: Any, username: str, email: str | None = None, password: str = PASSWORD, /, **more: str
) -> Any:
    """Fill in the sign-up form; ``next="…"`` and any other field may be given."""
    fields = {
        "username": username,
        "email": address_of(username) if email is None else email,
        "password1": password,
    }
    return client.post(SIGNUP, fields | more)


def sign_in(client: Any, login: str, password: str = PASSWORD, **more: str) -> Any:
    """Fill in the sign-in form; ``remember="on"``, ``next="…"``."""
    return client.post(LOGIN, {"login": login, "password": password, **more})


def sign_in_twice(client: Any, user: User, **more: str) -> Any:
    """Take both steps of a sign-in; return the answer to the second."""
    assert sign_in(client, user.username, **more).url == CHALLENGE
    return take_second_step(client, user)


def signed_up(username: str) -> Browser:
    """The browser of somebody who has signed up and confirmed."""
    client = Browser()
    sign_up(client, username)
    response = confirm(client, username)
    assert response.url == "/"
    return client


def join(site: Site, client: Client, username: str) -> None:
    """Sign up and confirm at a running site."""
    assert sign_up(client, username).status == 302
    code = code_in(site.wait_for_mail(to=f"{username}@"))
    assert client.post(CONFIRM, {"code": code}).location == "/"


def confirm(client: Browser, username: str) -> Any:
    """Type the code of the mail into the browser that signed up."""
    return client.post(CONFIRM, {"code": code_in(mail_to(username))})


def is_signed_in(client: Browser) -> bool:
    """Whether the site greets this browser, rather than asking who it is."""
    return client.get("/").status_code == 200


def mail_to(username: str) -> mail.EmailMessage:
    """The newest mail to a person, in process; waiting mail is delivered first."""
    deliver_due()
    return [sent for sent in mail.outbox if sent.to == [address_of(username)]][-1]


def outbox() -> list[Message]:
    """The undelivered mails, oldest first, decrypted."""
    rows = OutgoingMail.objects.order_by("created_at", "due_at")
    return [Message(**json.loads(crypto.unseal(row.sealed, PURPOSE))) for row in rows]


def code_in(mail: Any) -> str:
    """The code in a mail or its text; it stands alone on a line."""
    (code,) = re.findall(r"(?m)^[A-Z2-9]{8}$", _text(mail))
    return str(code)


def link_in(mail: Any) -> str:
    """The path of the link to confirm by, which stands alone on a line."""
    (path,) = re.findall(rf"(?m)^https?://[^/]+({CONFIRM}[\w-]+/)$", _text(mail))
    return str(path)


def _text(mail: Any) -> str:
    if isinstance(mail, EmailMessage):
        return text_of(mail)
    return mail if isinstance(mail, str) else str(mail.body)


def path_of(link: str) -> str:
    """A link of a mail as the path that a client of the site asks for."""
    return re.sub(r"^https?://[^/]+", "", link)


def next_on(response: Any) -> str:
    """Where a form on the page would lead afterwards, as its hidden field says."""
    found = re.search(r'name="next" value="([^"]*)"', response.content.decode())
    return found[1].replace("&amp;", "&") if found else ""


def by_password(client: Browser, **more: str) -> Any:
    """Alice's first step."""
    return sign_in(client, "alice", **more)


def by_mail(client: Browser, **more: str) -> Any:
    """Alice's first step by a mailed code."""
    # What waits from before leaves first: the mails of members overtake others.
    deliver_due()
    client.post(CODE, {"login": "alice", **more})
    return client.post(CODE, {"code": code_in(mail_to("alice"))})


def same_browser(site: Site, browser: Client, **headers: str) -> Client:
    """The same cookies, to be used at the same time or at another node."""
    twin = site.client(**headers)
    twin.cookies = dict(browser.cookies)
    return twin


def but_for_nonces(page: str) -> str:
    """The page without its CSRF token, CSP nonce and passkey challenge, which always differ."""
    page = re.sub(r'(name="csrfmiddlewaretoken" value|nonce)="[^"]+"', "", page)
    return re.sub("(&quot;challenge&quot;: )&quot;[^&]+&quot;", r"\1", page)


def sql(site: Site, statement: str, *values: str) -> list[Any]:
    """Read or change rows of a running site's database; ``?`` stands for a value."""
    url = site.env.get("DATABASE_URL")
    connection: Any = (
        psycopg.connect(url) if url else sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)
    )
    with closing(connection), connection:
        cursor = connection.execute(statement.replace("?", "%s") if url else statement, values)
        return cursor.fetchall() if cursor.description else []
