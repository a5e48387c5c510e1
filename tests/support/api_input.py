"""Endpoints, hostile values and checks that the tests of API input share."""

import json
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from tests.support.api import get_tokens
from tests.support.api_jwt import API, ME, Answer, call
from tests.support.raw_http import HEADERS, missing_headers
from tests.support.steps import WRONG

LONG, LIMIT, MEGABYTE = 60_000, 65_536, 1_000_000
NOBODY = "00000000-0000-4000-8000-000000000000"
LISTS = (f"{API}sessions/", f"{API}activity/")
NO_CLIENT, VERIFY = f"{API}nothing/", f"{API}token/verify/"
BIDI = "\u202eecila"
FORM = "application/x-www-form-urlencoded"
TABLES = ("user", "pendingsignup", "username", "emailaddress", "loginsession", "tokenchallenge",
          "outgoingmail")  # fmt: skip


@dataclass(frozen=True)
class Call:
    """An endpoint with fields of the right types that it refuses or that change nothing."""

    path: str
    fields: dict[str, Any]
    method: str = "POST"
    takes_forms: bool = False
    # The statuses besides 400 that answer a malformed token.
    no_token: tuple[int, ...] = ()


WRONG_REQUEST = {"audience": "https://nowhere.example", "scope": "everything"}
USERS = Call("users/", {"username": "erin", "email": "erin@", "password": "too short"})
LOGIN = Call(
    "token/", {"username": "erin", "email": "erin@example.org", "password": WRONG, **WRONG_REQUEST}
)
REVOCATION = Call("token/revoke/", {"token": "none"}, takes_forms=True, no_token=(200,))
PROFILE = Call(
    "me/",
    {"display_name": BIDI, "about": BIDI, "language": "xx", "time_zone": "Mars/Base"},
    method="PATCH",
)
CODE = {"challenge": "none", "code": "ZZZZ9999"}
CALLS = (
    USERS,
    Call("email/verify/", {"email": "erin@example.org", "code": "ZZZZ9999"}),
    Call("email/resend/", {"email": "erin@example.org"}),
    Call("login/code/confirm/", {"challenge": "none", "code": "12345678"}),
    Call(
        "password/reset/confirm/",
        {"challenge": "none", "code": "12345678", "password": "copper kettle under eight stars"},
    ),
    LOGIN,
    Call("token/challenge/", {"challenge": "none", "code": "123456", "method": "smoke"}),
    Call("token/refresh/", {"refresh": "none", **WRONG_REQUEST}, no_token=(401,)),
    Call("token/verify/", {"token": "none"}, no_token=(401,)),
    REVOCATION,
    PROFILE,
    Call("email/correct/", {"username": "erin", "password": WRONG, "email": "erin@"}),
    Call("invitation/check/", {"token": "none"}),
    Call("invitation/accept/", {"token": "none", "username": "erin", "password": "too short"}),
    Call("login/code/confirm/", {**CODE, **WRONG_REQUEST}),
    Call("password/reset/check/", {**CODE, "token": "none"}),
    Call("password/reset/confirm/", {**CODE, "token": "none", "password": "too short"}),
)


def check(sent: Any, answer: Answer, *statuses: int) -> None:
    """Fail unless the status is one of ``statuses`` and an error has the documented shape.

    The answer may not be cached, and has the security headers.
    """
    message = f"{sent!r:.100} {answer.status} {answer.content[:100]!r}"
    assert answer.status in statuses, message
    assert is_in_shape(answer), message
    assert answer.headers["Cache-Control"] == "no-store", message
    assert missing_headers({name: answer.headers.get(name) for name in HEADERS}) == [], message


def is_in_shape(answer: Answer) -> bool:
    """Return whether an error has the documented JSON shape and the headers of its status."""
    if answer.status < 400:
        return True
    needs = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
    needed = needs.get(answer.status, "Content-Type")
    if answer.headers["Content-Type"] != "application/json" or not answer.headers.get(needed):
        return False
    error = json.loads(answer.content)
    if error.pop("request_id") != answer.headers["X-Request-ID"]:
        return False
    if "detail" in error:
        return bool(error["code"]) and all(isinstance(error[n], str) for n in ("detail", "code"))
    listed = error.pop("errors")
    told: dict[str, list[str]] = {each["field"]: [] for each in listed}
    for each in listed:
        told[each["field"]].append(each["detail"])
    return answer.status == 400 and told == error and all(each["code"] for each in listed)


class Target:
    """The API as one signed-in user sees it."""

    def __init__(self, client: Any, name: str = "alice") -> None:
        self.client = client
        self.bearer = f"Bearer {get_tokens(name, client)['access']}"

    def send(self, to: Call, body: Any, **more: Any) -> Answer:
        """Send ``body`` to the endpoint ``to``, with the user's token if it needs one."""
        if to is PROFILE:
            more.setdefault("authorization", self.bearer)
        return call(self.client, f"{API}{to.path}", body, method=to.method, **more)

    def get(self, path: str, **more: Any) -> Answer:
        """Send a request without a body, with the user's token."""
        return call(self.client, path, authorization=self.bearer, **more)

    def made(self) -> list[Any]:
        """Return the number of rows in each table, and the user's profile."""
        models = [apps.get_model("accounts", name) for name in TABLES]
        return [*(model.objects.count() for model in models), self.get(ME).body]


def storable(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Run a statement, but fail on text and numbers that only SQLite can store."""
    for value in params or ():
        if isinstance(value, str):
            assert "\0" not in value, sql
            value.encode()  # a lone surrogate has no encoding in UTF-8
        assert not isinstance(value, int) or abs(value) < 2**63, sql
    return execute(sql, params, many, context)
