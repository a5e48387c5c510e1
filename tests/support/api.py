"""Call the API as a program does, in process or at a running site."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client as Browser

from tests.support import api_jwt as raw
from tests.support.api_jwt import Answer
from tests.support.site import Client
from tests.support.steps import PASSWORD
from tests.support.wsgi import Program

API = raw.API

type Caller = Client | Browser


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
    """Call ``path`` below ``/api/v1/``: by POST if there is ``data``, otherwise by GET.

    ``token`` is sent as a Bearer token and ``basic`` (``name:password``) as HTTP Basic. With
    ``form``, the data are form-encoded instead of JSON. Without ``client``, the call is made in
    process.
    """
    authorization = f"Bearer {token}" if token else None
    if basic:
        authorization = raw.basic(*basic.split(":", 1))
    return raw.call(
        client or Program(),
        API + path,
        urlencode(data).encode() if form and data is not None else data,
        method=method,
        kind="application/x-www-form-urlencoded" if form else "application/json",
        authorization=authorization,
    )


def get_tokens(name: str = "alice", client: Caller | None = None, **token_request: str) -> Answer:
    """Request tokens with the password; ``token_request`` may hold ``scope`` and ``audience``."""
    data = {"username": name, "password": PASSWORD, **token_request}
    return call("token/", data, client=client)


def renew(refresh: str, client: Caller | None = None, **token_request: str) -> Answer:
    """Exchange a refresh token for a new pair of tokens."""
    return call("token/refresh/", {"refresh": refresh, **token_request}, client=client)


def exchange(access: str, client: Caller | None = None, **token_request: str) -> Answer:
    """Exchange an access token for a new access token."""
    return call("token/", token_request, client=client, basic=f"{access}:anything")


def second_step(challenge: str, code: str, client: Caller | None = None) -> Answer:
    """Complete a sign-in with a code of the second factor."""
    return call("token/challenge/", {"challenge": challenge, "code": code}, client=client)


def is_good(access: str, client: Caller | None = None) -> bool:
    """Return whether the site accepts an access token, and check the error code if it does not."""
    answer = call("me/", client=client, token=access)
    known = {(200, ""), (401, "token_not_valid"), (401, "token_expired")}
    assert answer.short in known, answer
    return answer.status == 200


def claims_of(access: str) -> dict[str, Any]:
    """Return the claims of an access token without verifying its signature."""
    part = access.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read
