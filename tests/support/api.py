"""Calls of the API as a program makes them, in process and at the real site alike."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.test import Client as InProcess

from tests.support import api_jwt as raw
from tests.support.client import Client
from tests.support.steps import PASSWORD

API = raw.API

type Caller = Client | InProcess


@dataclass(frozen=True)
class Answer:
    """What a call was answered: the status, the JSON, the headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        """A member of the body."""
        return self.body[name]

    @property
    def code(self) -> str:
        """Which error, if it's one."""
        return self.body.get("code", "") if isinstance(self.body, dict) else ""


def call(
    path: str,
    data: Any = None,
    *,
    client: Caller | None = None,
    method: str = "",
    token: str = "",
    basic: str = "",
    form: bool = False,
) -> Answer:
    """``path`` below ``/api/v1/``; a POST where there is ``data``, else a GET.

    ``token`` is sent as Bearer, ``basic`` (``name:password``) as Basic; ``form`` sends no JSON.
    """
    authorization = f"Bearer {token}" if token else None
    if basic:
        authorization = f"Basic {base64.b64encode(basic.encode()).decode()}"
    sent = raw.call(
        client or InProcess(),
        API + path,
        urlencode(data).encode() if form and data is not None else data,
        method=method,
        kind="application/x-www-form-urlencoded" if form else "application/json",
        authorization=authorization,
    )
    return Answer(
        sent.status, json.loads(sent.body) if sent.body else None, dict(sent.headers.items())
    )


def get_tokens(name: str = "alice", client: Caller | None = None, **token_request: str) -> Answer:
    """The first step, by password; ``token_request`` is ``scope`` and ``audience``."""
    data = {"username": name, "password": PASSWORD, **token_request}
    return call("token/", data, client=client)


def renew(refresh: str, client: Caller | None = None, **token_request: str) -> Answer:
    """A new pair for a refresh token."""
    return call("token/refresh/", {"refresh": refresh, **token_request}, client=client)


def exchange(access: str, client: Caller | None = None, **token_request: str) -> Answer:
    """A fresh access token for one."""
    return call("token/", token_request, client=client, basic=f"{access}:anything")


def second_step(challenge: str, code: str, client: Caller | None = None) -> Answer:
    """The second step, by a code."""
    return call("token/challenge/", {"challenge": challenge, "code": code}, client=client)


def is_good(access: str, client: Caller | None = None) -> bool:
    """Whether the site takes that access token; a refusal is one of the two that there are."""
    answer = call("me/", client=client, token=access)
    known = {(200, ""), (401, "token_not_valid"), (401, "token_expired")}
    assert (answer.status, answer.code) in known, answer
    return answer.status == 200


def claims_of(access: str) -> dict[str, Any]:
    """What it says, unverified."""
    part = access.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read
