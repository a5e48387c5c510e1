"""Key files as the programs that people have write them; tokens as the site signs them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jwt
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.tokens import keyring
from tests.support.missing import find, missing

PASSPHRASE = "five grey herons"


def made_by(command: str, folder: Path) -> bytes:
    """The file ``key.pem`` in ``folder`` once a program has run there."""
    program, *words = command.split(" ")
    path = find(program) or missing(program)
    (folder / "key.pem").unlink(missing_ok=True)
    # ssh-keygen's option for no passphrase is an empty word, and for one a word with spaces.
    words = [{"EMPTY": "", "PASSPHRASE": PASSPHRASE}.get(word, word) for word in words]
    subprocess.run([path, *words], check=True, capture_output=True, cwd=folder)
    return (folder / "key.pem").read_bytes()


def queries() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


def published() -> list[str]:
    return [jwk["kid"] for jwk in json.loads(keyring.jwks().body)["keys"]]


def token() -> str:
    signer = keyring.signer()
    return jwt.encode({}, signer.key, signer.algorithm, headers={"kid": signer.kid})


def is_good(written: str) -> bool:
    """Whether the site takes a token that was signed before."""
    verifier = keyring.find(jwt.get_unverified_header(written)["kid"])
    if not verifier:
        return False
    jwt.decode(written, verifier.key, [verifier.algorithm])
    return True


def refusing(statement: str = "") -> Any:
    """The database refuses what begins so; everything, as one that's away, where nothing is said.

    For the length of a ``with``.
    """

    def refuse(run: Any, sql: str, *more: Any) -> Any:
        if sql.startswith(statement):
            raise OperationalError("the server closed the connection, or the disk is full")
        return run(sql, *more)

    return connection.execute_wrapper(refuse)
