"""Make key files with common programs, and sign and check tokens as the site does."""

import json
from pathlib import Path
from typing import Any

import jwt
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.tokens import keyring
from tests.support.missing import find, missing
from tests.support.process import run

PASSPHRASE = "five grey herons"


def made_by(command: str, folder: Path) -> bytes:
    """Run a command in ``folder`` and return the file ``key.pem`` that it has written."""
    program, *words = command.split(" ")
    path = find(program) or missing(program)
    (folder / "key.pem").unlink(missing_ok=True)
    # The words of a command are split at spaces, and a passphrase is empty or has spaces.
    words = [{"EMPTY": "", "PASSPHRASE": PASSPHRASE}.get(word, word) for word in words]
    run(path, *words, cwd=folder)
    return (folder / "key.pem").read_bytes()


def queries() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


def published() -> list[str]:
    return [jwk["kid"] for jwk in json.loads(keyring.jwks().body)["keys"]]


def token() -> str:
    signer = keyring.signer()
    return jwt.encode({}, signer.key, signer.algorithm, headers={"kid": signer.kid})


def is_good(written: str) -> bool:
    """Return whether the site accepts a token by its signing key."""
    verifier = keyring.find_key(jwt.get_unverified_header(written)["kid"])
    if not verifier:
        return False
    jwt.decode(written, verifier.key, [verifier.algorithm])
    return True


def refusing(statement: str = "") -> Any:
    """Return a context manager in which the database refuses some statements.

    It refuses those that begin with ``statement``, by default all, as an unreachable one does.
    """

    def refuse(run: Any, sql: str, *more: Any) -> Any:
        if sql.startswith(statement):
            raise OperationalError("the server closed the connection, or the disk is full")
        return run(sql, *more)

    return connection.execute_wrapper(refuse)
