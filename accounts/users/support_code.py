"""Support codes, which identify an account and a request.

A code contains the end of the request's id, and the beginning of the account's id, encrypted with
the former. Without ``SECRET_KEY`` it reveals nothing about the account, not even whether two codes
belong to the same account. It gives no access: only the search of staff reads it.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Iterator

from accounts.common import secrets
from accounts.common.text import canonical_code

# The first 40 random bits of an id. Among a million accounts, two have the same by chance.
ACCOUNT_BYTES, ACCOUNT_LETTERS, REQUEST_LETTERS = 5, 8, 6
PURPOSE = "support code"
NOBODY = bytes(ACCOUNT_BYTES)


def write(user_id: uuid.UUID | None, request_id: str) -> str:
    """Return the support code of a request. ``user_id``: the signed-in user, or None."""
    # Only the end is used, because some proxies begin the id of a request with the time.
    end = re.sub("[^0-9a-z]", "", request_id.lower())[-REQUEST_LETTERS:].zfill(REQUEST_LETTERS)
    begin = user_id.bytes[:ACCOUNT_BYTES] if user_id else NOBODY
    [key, *_former] = secrets.macs(end, PURPOSE)
    account = base64.b32encode(_xor(begin, key)).decode()
    return f"{account[:4]}-{account[4:]}-{end.upper()}"


def request_of(typed: str) -> str:
    """Return the end of the request's id in a support code; empty if ``typed`` is not a code."""
    return _split(typed)[1]


def accounts_of(typed: str) -> Iterator[tuple[uuid.UUID, uuid.UUID]]:
    """Yield, for each key, the first and the last id that an account with this code may have."""
    account, end = _split(typed)
    for key in secrets.macs(end, PURPOSE) if end else ():
        begin = _xor(account, key)
        if begin != NOBODY:
            rest = 16 - ACCOUNT_BYTES
            yield uuid.UUID(bytes=begin + bytes(rest)), uuid.UUID(bytes=begin + b"\xff" * rest)


def _split(typed: str) -> tuple[bytes, str]:
    """Return the encrypted account and the end of the request's id; both empty if malformed."""
    code = canonical_code(typed)
    if len(code) == ACCOUNT_LETTERS + REQUEST_LETTERS and code.isascii() and code.isalnum():
        try:
            return base64.b32decode(code[:ACCOUNT_LETTERS]), code[ACCOUNT_LETTERS:].lower()
        except binascii.Error:
            pass
    return b"", ""


def _xor(text: bytes, key: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(text, key, strict=False))
