"""Steps that the tests of sign-up share."""

import re
from typing import Any

from django.test import Client

from tests.support.steps import CONFIRM, PASSWORD, outbox, sign_up, without_nonces


def signed_up(
    username: str, address: str | None = None, password: str = PASSWORD
) -> tuple[Client, Any]:
    """Sign up; return the browser and the mail that was sent."""
    browser = Client()
    answer = sign_up(browser, username, address, password)
    assert answer.status_code == 302, answer.content.decode()
    return browser, outbox()[-1]


def confirm(browser: Client, code: str) -> Any:
    return browser.post(CONFIRM, {"code": code})


def visible(answer: Any) -> tuple[int, str, str]:
    """Return what a page shows, without the parts that change or that were typed in."""
    text = re.sub(r'value="[^"]*"|<time.*</time>', "", without_nonces(answer.content.decode()))
    return answer.status_code, answer.headers.get("Location", ""), re.sub("free|taken", "", text)
