"""Hashes and verifies passwords, and recognizes outdated hashes and common passwords.

``data/common.bin`` is part of the site; ``data/README.md`` names its sources.
``PWNED_PASSWORDS_FILE`` may name a local copy of the list of Have I Been Pwned. Both files are
sorted and are searched without loading them into memory.
"""

import hashlib
import logging
import mmap
import unicodedata
from bisect import bisect_left
from functools import cache
from io import BufferedReader
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import get_hasher, identify_hasher, make_password

from accounts.passwords import mix
from accounts.passwords.hashers import MAX_LENGTH, canonical
from accounts.users.models import hasher_of

COMMON = Path(__file__).with_name("data") / "common.bin"
# With 1.4 million records of this size, one in 765,000 uncommon passwords is taken for a common
# one.
RECORD_BYTES = 5
SHA1_HEX_DIGITS = 40
# Limits the number of bytes read from a file without line ends.
LONGEST_LINE = 100

log = logging.getLogger(__name__)


def truncated_hash(password: str) -> bytes:
    """Return the first bytes of the SHA-256 of ``password``, as stored in ``common.bin``.

    The case of letters is ignored.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", password).casefold())
    return hashlib.sha256(folded.encode()).digest()[:RECORD_BYTES]


def is_common(password: str) -> bool:
    """Return whether ``password`` is in ``common.bin`` (ASVS 6.2.4)."""
    data, wanted = _common(), truncated_hash(password)

    def at(index: int) -> bytes:
        return data[index * RECORD_BYTES : (index + 1) * RECORD_BYTES]

    return at(bisect_left(range(len(data) // RECORD_BYTES), wanted, key=at)) == wanted


def is_pwned(password: str) -> bool:
    """Return whether ``password`` is in the local copy of Have I Been Pwned (ASVS 6.2.12).

    Return False if the setting names no file. If the file cannot be read, log the error and return
    False, so that people can still sign up.
    """
    path = settings.AUTHSITE.pwned_passwords_file
    if not path:
        return False
    try:
        with Path(path).open("rb") as file:
            # The list contains SHA-1 hashes. This site stores no SHA-1 hashes.
            digest = hashlib.sha1(password.encode(), usedforsecurity=False)
            return _contains(file, digest.hexdigest().upper().encode())
    except OSError as error:
        log.error("PWNED_PASSWORDS_FILE can't be read: %s", error.strerror)  # noqa: TRY400 the file is at fault
        return False


def first_hash(path: str) -> bytes:
    """Return the first hash in the copy of Have I Been Pwned at ``path``.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return _hash_from(file, 0)


@cache
def _common() -> mmap.mmap:
    with COMMON.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _contains(file: BufferedReader, wanted: bytes) -> bool:
    """Return whether a line of the sorted ``file`` begins with ``wanted``.

    This takes about 36 short reads in a file of 40 GB.
    """

    def at(offset: int) -> bytes:
        return _hash_from(file, offset)

    size = file.seek(0, 2)
    return at(bisect_left(range(size), wanted, key=at)) == wanted


def _hash_from(file: BufferedReader, offset: int) -> bytes:
    """Return the hash in the first line that begins at ``offset`` or later.

    Returns ``~``, which sorts after every hash, if no such line exists. ``offset`` may be in the
    middle of a line: reading starts one byte earlier and skips the rest of that line.
    """
    file.seek(max(0, offset - 1))
    if offset:
        file.readline(LONGEST_LINE)
    return file.readline(LONGEST_LINE)[:SHA1_HEX_DIGITS].upper() or b"~"


MIN_LENGTH = 12


def hash_password(password: str) -> str:
    """Return the hash of ``password`` to store.

    Hashing is slow, so never call this in a transaction.
    """
    return make_password(password)


def verify(password: str, encoded: str | None, *, login: str = "") -> bool:
    """Return whether ``password`` matches the hash ``encoded``.

    ``encoded`` is None if there is no such account. It may be unusable, if the account has no
    password, or of an unknown algorithm. A hash is computed in these cases, too, so that the
    response time reveals nothing (CWE-208). Its cost depends on ``login``: see
    ``accounts.passwords.mix``.

    No hash is computed for a password that is too long, because it never matches.
    """
    if len(password) > MAX_LENGTH:
        return False
    hasher = hasher_of(encoded) if encoded is not None else None
    if hasher is None or encoded is None:
        verify(password, mix.dummy_hash(login))
        return False
    return hasher.verify(password, encoded)


def is_outdated(encoded: str) -> bool:
    """Return whether ``encoded`` has another algorithm or other parameters than new hashes."""
    hasher = identify_hasher(encoded)
    preferred = get_hasher("default")
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)


def is_compromised(password: str) -> bool:
    """Return whether attackers try ``password`` first (NIST SP 800-63B section 3.1.1.2).

    They do if the password is in the list of common passwords, or if its canonical form is in the
    local copy of Have I Been Pwned.
    """
    return is_common(password) or is_pwned(canonical(password))
