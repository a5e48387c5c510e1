"""Make raw API calls, and send one token to every call that accepts an access token."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from django.test import Client as Browser

from tests.support.openapi import assert_described
from tests.support.site import Client
from tests.support.wsgi import Program

API = "/api/v1/"
ME, TOKEN, REFRESH = f"{API}me/", f"{API}token/", f"{API}token/refresh/"
VERIFY, REVOKE = f"{API}token/verify/", f"{API}token/revoke/"
REFUSED = (401, "token_not_valid")
# A user name in HTTP Basic that is longer than this is read as a token.
LONGEST_NAME = 254


@dataclass(frozen=True)
class Answer:
    """The answer to a call."""

    status: int
    headers: Any
    content: bytes

    @property
    def body(self) -> Any:
        """The parsed body without the id of the request; None if it is empty."""
        body = json.loads(self.content) if self.content else None
        if self.status >= 400 and isinstance(body, dict):
            body.pop("request_id", None)
        return body

    def __getitem__(self, name: str) -> Any:
        """Return a member of the body."""
        return self.body[name]

    @property
    def code(self) -> str:
        """The error code in the body, or an empty string."""
        return self.body.get("code", "") if isinstance(self.body, dict) else ""

    @property
    def fields(self) -> list[str]:
        """The names of the fields that an error is about."""
        return list(dict.fromkeys(error["field"] for error in self.body["errors"]))

    @property
    def short(self) -> tuple[int, str]:
        """The status and the error code."""
        return self.status, self.code


def call(
    client: Browser | Client,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    kind: str = "application/json",
    authorization: str | None = None,
    **headers: str,
) -> Answer:
    """Make one call and check the answer against the OpenAPI description.

    The call is made in process or at a running site, depending on ``client``. ``body`` is sent as
    JSON, or unchanged if it is bytes.
    """
    if not isinstance(body, bytes | None):
        body = json.dumps(body).encode()
    method = method or ("GET" if body is None else "POST")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if authorization is not None:
        sent["Authorization"] = authorization
    if isinstance(client, Client):
        there = client.request(method, path, body=body, headers={"Content-Type": kind, **sent})
        answer = Answer(there.status, there.headers, there.body)
    else:
        here = client.generic(method, path, body or b"", content_type=kind, headers=sent)
        answer = Answer(here.status_code, here, here.getvalue())
    media_type = answer.headers.get("Content-Type")
    assert_described(path, method, answer.status, media_type, answer.content)
    return answer


def basic(name: str | bytes, password: str = "x") -> str:  # noqa: S107 tokens need no password
    """Return an ``Authorization`` header for HTTP Basic."""
    raw = name.encode() if isinstance(name, str) else name
    return "Basic " + base64.b64encode(raw + b":" + password.encode()).decode()


def answers_to(client: Browser | Client, token: str) -> list[Answer]:
    """Return the answers of all calls that accept an access token."""
    return [
        call(client, ME, authorization=f"Bearer {token}"),
        call(client, ME, authorization=basic(token)),
        call(client, TOKEN, {}, authorization=basic(token)),
        call(client, VERIFY, {"token": token}),
        call(client, REFRESH, {"refresh": token}),
    ]


def is_refused(token: str) -> bool:
    """Return whether all calls refuse a token with the same error.

    A token that is as short as a name or not plain text may be refused earlier for another
    reason. For such a token, status 400 or 401 counts as a refusal.
    """
    answers = answers_to(Program(), token)
    is_plain = token.isascii() and token.isprintable() and ":" not in token
    if len(token) <= LONGEST_NAME or not is_plain:
        return {answer.status for answer in answers} <= {400, 401}
    challenges = [answer.headers.get("WWW-Authenticate", "") for answer in answers]
    answered = {answer.short for answer in answers}
    # Calls that authenticate with the token have an own code for an expired one.
    return answered - {(401, "token_expired")} == {REFUSED} and all(
        told.startswith("Bearer") for told in challenges
    )


def accepted(tokens: dict[str, str]) -> list[str]:
    """Return the names of the tokens that at least one call accepts."""
    return [name for name, token in tokens.items() if not is_refused(token)]
