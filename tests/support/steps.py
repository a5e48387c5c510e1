"""What people do at the site: sign up, sign in, read their mail.

Most functions take Django's test client or the client of a running site: both have ``get`` and
``post``.
"""

import re
import sqlite3
from contextlib import closing
from email.message import EmailMessage
from typing import Any
from uuid import UUID

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
from tests.support.second_factor import CHALLENGE, enrolled, take_second_step
from tests.support.site import Client, Site, text_of

PASSWORD = "vivid otter under glass"
WRONG = "quiet harbour paints nine clocks"
# A well-formed code that no test has issued.
WRONG_CODE = "0000 0000"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)
SIGNUP, LOGIN, LOGOUT, CONFIRM, CODE = (
    f"/accounts/{page}/" for page in ("signup", "login", "logout", "confirm-email", "login/code")
)


def address_of(username: str) -> str:
    return f"{username}@example.org"


def make_user(username: str, *, password: str | None = PASSWORD, **fields: Any) -> User:
    """Create a user with a confirmed email, without using the pages.

    A ``password`` of None makes the password unusable.
    """
    hashed = make_password(password)
    with transaction.atomic():
        users.take_username(username, until=None)
        user = users.create_user(username, hashed)
        users.confirm_email(user, address_of(username))
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def make_staff(username: str, *, has_factor: bool = True) -> User:
    """Create a superuser, with an authenticator unless ``has_factor`` is false."""
    user = make_user(username, is_staff=True, is_superuser=True)
    if has_factor:
        enrolled(user)
    return User.objects.get(pk=user.pk)


def sign_up(
    client: Any, username: str, email: str | None = None, password: str = PASSWORD, /, **more: str
) -> Any:
    """Post the sign-up form; ``next="…"`` and other fields may be given."""
    fields = {
        "username": username,
        "email": address_of(username) if email is None else email,
        "password1": password,
    }
    return client.post(SIGNUP, fields | more)


def sign_in(client: Any, login: str, password: str = PASSWORD, **more: str) -> Any:
    """Post the sign-in form; ``remember="on"`` and ``next="…"`` may be given."""
    return client.post(LOGIN, {"login": login, "password": password, **more})


def sign_in_twice(client: Any, user: User, **more: str) -> Any:
    """Take both steps of a sign-in, and return the answer to the second."""
    assert sign_in(client, user.username, **more).url == CHALLENGE
    return take_second_step(client, user)


def signed_up(username: str) -> Browser:
    """Sign up and confirm in a new browser, and return the browser."""
    client = Browser()
    sign_up(client, username)
    response = confirm(client, username)
    assert response.url == "/"
    return client


def join(site: Site, client: Client, username: str) -> None:
    """Sign up and confirm the email at a running site."""
    assert sign_up(client, username).status == 302
    code = code_in(site.wait_for_mail(to=f"{username}@"))
    assert client.post(CONFIRM, {"code": code}).location == "/"


def confirm(client: Browser, username: str) -> Any:
    """Enter the mailed code in the browser that signed up."""
    return client.post(CONFIRM, {"code": code_in(mail_to(username))})


def is_signed_in(client: Browser) -> bool:
    """Return whether the home page is shown instead of a redirect to the sign-in page."""
    return client.get("/").status_code == 200


def mail_to(username: str) -> mail.EmailMessage:
    """Return the mail to a person that was posted last, in process; queued mails are sent first."""
    posted = list(
        OutgoingMail.objects.order_by("created_at", "due_at").values_list("pk", flat=True)
    )
    before = len(getattr(mail, "outbox", []))
    deliver_due()
    # Codes are sent before notices that were posted earlier.
    mail.outbox[before:] = sorted(mail.outbox[before:], key=lambda sent: posted.index(_id_of(sent)))
    return [sent for sent in mail.outbox if sent.to == [address_of(username)]][-1]


def _id_of(sent: mail.EmailMessage) -> UUID:
    return UUID(str(sent.extra_headers["Message-ID"])[1:].partition("@")[0])


def outbox() -> list[Message]:
    """Return the queued mails, oldest first, decrypted."""
    rows = OutgoingMail.objects.order_by("created_at", "due_at")
    return [Message.from_json(crypto.unseal(row.sealed, PURPOSE)) for row in rows]


def code_in(mail: Any) -> str:
    """Return the code in a mail or in its text, where it stands alone on a line."""
    (code,) = re.findall(r"(?m)^[0-9]{4} [0-9]{4}$", _text(mail))
    return str(code)


def link_in(mail: Any) -> str:
    """Return the path of the confirmation link, which stands alone on a line."""
    (path,) = re.findall(rf"(?m)^https?://[^/]+({CONFIRM}[\w-]+/)$", _text(mail))
    return str(path)


def _text(mail: Any) -> str:
    if isinstance(mail, EmailMessage):
        return text_of(mail)
    return mail if isinstance(mail, str) else str(mail.body)


def path_of(link: str) -> str:
    """Return the path of a link in a mail."""
    return re.sub(r"^https?://[^/]+", "", link)


def by_password(client: Browser, **more: str) -> Any:
    """Take alice's first step of a sign-in with her password."""
    return sign_in(client, "alice", **more)


def by_mail(client: Browser, **more: str) -> Any:
    """Take alice's first step of a sign-in with a mailed code."""
    # Earlier mails are sent first, so that the newest mail is the one with the code.
    deliver_due()
    client.post(CODE, {"login": "alice", **more})
    return client.post(CODE, {"code": code_in(mail_to("alice"))})


def same_browser(site: Site, browser: Client, **headers: str) -> Client:
    """Return a client with the same cookies, for concurrent use or for another node."""
    copy = site.client(**headers)
    copy.cookies = dict(browser.cookies)
    return copy


def without_nonces(page: str) -> str:
    """Remove the values from a page that always differ: CSRF token, CSP nonce and challenge."""
    page = re.sub(r'(name="csrfmiddlewaretoken" value|nonce)="[^"]+"', "", page)
    return re.sub("(&quot;challenge&quot;: )&quot;[^&]+&quot;", r"\1", page)


def sql(site: Site, statement: str, *values: str) -> list[Any]:
    """Run a statement in the database of a running site; ``?`` stands for a value."""
    url = site.env.get("DATABASE_URL")
    connection: Any = (
        psycopg.connect(url) if url else sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)
    )
    with closing(connection), connection:
        cursor = connection.execute(statement.replace("?", "%s") if url else statement, values)
        return cursor.fetchall() if cursor.description else []


def member(site: Site, name: str) -> None:
    """Create a user with a confirmed email at a running site."""
    join(site, site.client(), name)
