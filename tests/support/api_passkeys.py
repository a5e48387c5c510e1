"""Sign in to the API with a passkey."""

import json
from typing import Any

from tests.support.api import Answer, call, get_tokens
from tests.support.webauthn import Passkey


def sign_in_options() -> Any:
    """Return the options to sign in with any passkey."""
    return call("passkeys/options/", method="POST").body


def first_step_options(name: str = "alice") -> tuple[str, Any]:
    """Sign in with the password; return the challenge for the second step, and the options."""
    answer = get_tokens(name)
    return str(answer["challenge"]), answer["options"]


def send(credential: str, **more: Any) -> Answer:
    """Send the response of a passkey to ``token/``, or with a ``challenge`` as a second step."""
    path = "token/challenge/" if "challenge" in more else "token/"
    return call(path, {"credential": json.loads(credential), **more})


def sign_in(passkey: Passkey, **changes: Any) -> Answer:
    """Sign in with ``passkey`` alone; ``changes`` alter its response."""
    return send(passkey.get(sign_in_options(), **changes))


def complete(passkey: Passkey, name: str = "alice", **changes: Any) -> Answer:
    """Sign in with the password and then ``passkey``; ``changes`` alter its response."""
    challenge, options = first_step_options(name)
    return send(passkey.get(options, **changes), challenge=challenge)


def make(token: str, passkey: Passkey | None = None, **changes: Any) -> Answer:
    """Add ``passkey`` or a new one in the session of ``token``; ``changes`` alter its response."""
    options = call("passkeys/registration/", method="POST", token=token).body
    created = json.loads((passkey or Passkey()).create(options, **changes))
    return call("passkeys/", {"credential": created, "name": "Laptop"}, token=token)
