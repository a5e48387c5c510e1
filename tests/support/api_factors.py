"""Add and use second factors over the API."""

import base64
from typing import Any

from tests.support.api import Answer, call, get_tokens, second_step
from tests.support.second_factor import code_of, unused_code


def signed_in(user: Any, *, has_factor: bool = False) -> str:
    """Sign in with the password, and a code of an app if there is one; return the access token."""
    first = get_tokens(user.username)
    done = second_step(first["challenge"], unused_code(user)) if has_factor else first
    return str(done["access"])


def begin(token: str) -> tuple[str, str]:
    """Begin to add an authenticator app; return the setup and the first code of the app."""
    answer = call("factors/totp/setup/", method="POST", token=token)
    if answer.status != 200:
        return "", ""
    return str(answer["setup"]), code_of(base64.b32decode(answer["secret"]).hex())


def add_app(token: str, name: str = "Phone") -> Answer:
    """Add an authenticator app to the account of ``token``."""
    setup, code = begin(token)
    return call("factors/totp/", {"setup": setup, "code": code, "name": name}, token=token)
