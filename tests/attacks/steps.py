"""Steps that the attacks share: people, mails, and a look into the database from outside."""

import json
import re
import sqlite3
from contextlib import closing
from email.message import EmailMessage
from typing import Any

import psycopg
from django.test import Client as Browser

from tests.support.client import Client
from tests.support.site import Site, text_of

PASSWORD = "copper kettle under seven stars"
WRONG = "quiet harbour paints nine clocks"

LOGIN = "/accounts/login/"
SIGNUP = "/accounts/signup/"
CONFIRM = "/accounts/confirm-email/"

# Right for whoever it's wrong for: no character of it could be mistaken for another.
WRONG_CODE = "ZZZZ9999"


def make_user(username: str, *, password: str = PASSWORD, **fields: Any) -> Any:
    """A user with a confirmed address, who never signed in; ``None`` is no usable password."""
    from django.contrib.auth.hashers import make_password

    from accounts.users import services
    from accounts.users.models import User

    services.hold_name(username, until=None)
    user = services.create_user(username, make_password(password))
    services.confirm_address(user, f"{username}@example.org")
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def sign_up(
    browser: Browser | Client, username: str, address: str = "", password: str = PASSWORD
) -> Any:
    """What the sign-up form answers, in process or from the real site."""
    address = address or f"{username}@example.org"
    return browser.post(SIGNUP, {"username": username, "email": address, "password1": password})


def log_in(browser: Browser | Client, login: str, password: str = PASSWORD) -> Any:
    """What the sign-in form answers, in process or from the real site."""
    return browser.post(LOGIN, {"login": login, "password": password})


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/").status_code == 200


def outbox() -> list[Any]:
    """The mails that wait, oldest first, opened as only the site can."""
    from accounts.kernel import crypto
    from accounts.mail.message import Message
    from accounts.mail.models import OutgoingMail
    from accounts.mail.services import PURPOSE

    rows = OutgoingMail.objects.order_by("created_at", "due_at")
    return [Message(**json.loads(crypto.unseal(row.sealed, PURPOSE))) for row in rows]


def path_of(link: str) -> str:
    """A link of a mail, as the path that a client at the site asks for."""
    return re.sub(r"^https?://[^/]+", "", link)


def code_in(mail: EmailMessage) -> str:
    """The code that stands alone on a line."""
    found = re.search(r"^([A-Z2-9]{8})$", text_of(mail), re.MULTILINE)
    assert found, text_of(mail)
    return found[1]


def link_in(mail: EmailMessage) -> str:
    """The path of the link to confirm."""
    found = re.search(rf"^\S+({CONFIRM}\S+)$", text_of(mail), re.MULTILINE)
    assert found, text_of(mail)
    return found[1]


def same_browser(site: Site, browser: Client, **headers: str) -> Client:
    """The same cookies, to be used at the same time or at another node."""
    twin = site.client(**headers)
    twin.cookies = dict(browser.cookies)
    return twin


def but_for_nonces(page: str) -> str:
    """The page without what is new each time: the CSRF token, the CSP's nonce, the challenge of
    a passkey. What else is asked of a passkey stays."""
    page = re.sub(r'(name="csrfmiddlewaretoken" value|nonce)="[^"]+"', "", page)
    return re.sub("(&quot;challenge&quot;: )&quot;[^&]+&quot;", r"\1", page)


def sql(site: Site, statement: str, *values: str) -> list[Any]:
    """Rows of the site's database, read or changed past the site; ``?`` stands for a value."""
    url = site.env.get("DATABASE_URL")
    connection: Any = (
        psycopg.connect(url) if url else sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)
    )
    with closing(connection), connection:
        cursor = connection.execute(statement.replace("?", "%s") if url else statement, values)
        return cursor.fetchall() if cursor.description else []
