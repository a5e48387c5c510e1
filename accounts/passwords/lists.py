"""Lists of known passwords, searched where they lie on disk: nothing of them is loaded.

``data/common.bin`` comes with the site (``data/README.md`` says from where); a local copy of the
whole list of Have I Been Pwned may be named by ``PWNED_PASSWORDS_FILE``. Both are sorted.
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

COMMON = Path(__file__).with_name("data") / "common.bin"
# A strange password is taken for one of the list's 1.4 million once in 765,000 times.
RECORD_BYTES = 5
SHA1_HEX_DIGITS = 40
# A file without line ends is not read as one line.
LONGEST_LINE = 100

log = logging.getLogger(__name__)


def record(password: str) -> bytes:
    """What the list that comes with the site holds of a password, in whatever case it's written."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", password).casefold())
    return hashlib.sha256(folded.encode()).digest()[:RECORD_BYTES]


def is_common(password: str) -> bool:
    """Whether the list that comes with the site has it (ASVS 6.2.4)."""
    data, wanted = _common(), record(password)

    def at(index: int) -> bytes:
        return data[index * RECORD_BYTES : (index + 1) * RECORD_BYTES]

    return at(bisect_left(range(len(data) // RECORD_BYTES), wanted, key=at)) == wanted


def is_pwned(password: str) -> bool:
    """Whether the operator's copy of Have I Been Pwned has it (ASVS 6.2.12).

    A copy that is missing or can't be read is logged and knows nothing: people can still sign up.
    """
    path = settings.AUTHSITE.pwned_passwords_file
    if not path:
        return False
    try:
        with Path(path).open("rb") as file:
            # The list is one of SHA-1; nothing is kept under this hash.
            digest = hashlib.sha1(password.encode(), usedforsecurity=False)
            return _has(file, digest.hexdigest().upper().encode())
    except OSError as error:
        log.error("PWNED_PASSWORDS_FILE can't be read: %s", error.strerror)  # noqa: TRY400
        return False


def first_hash(path: str) -> bytes:
    """The first hash of a copy of Have I Been Pwned; ``OSError`` if it can't be read."""
    with Path(path).open("rb") as file:
        return _hash_from(file, 0)


@cache
def _common() -> mmap.mmap:
    with COMMON.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _has(file: BufferedReader, wanted: bytes) -> bool:
    """Whether a line of ``file`` begins with ``wanted``; about 36 short reads in 40 GB."""

    def at(offset: int) -> bytes:
        return _hash_from(file, offset)

    size = file.seek(0, 2)
    return at(bisect_left(range(size), wanted, key=at)) == wanted


def _hash_from(file: BufferedReader, offset: int) -> bytes:
    """The hash of the first line that begins at ``offset`` or after it; ``~`` behind the last.

    Offsets fall anywhere into a line: from the byte before, what is left of a line is skipped.
    """
    file.seek(max(0, offset - 1))
    if offset:
        file.readline(LONGEST_LINE)
    return file.readline(LONGEST_LINE)[:SHA1_HEX_DIGITS].upper() or b"~"
