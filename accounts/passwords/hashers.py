"""Hashes passwords with Argon2id: 19 MiB, 2 passes, 1 lane (OWASP's minimum, RFC 9106).

Hashing is the most expensive work of the site, and anonymous visitors can cause it. Therefore the
number of hashes that are computed at the same time is limited to the number of cores. A request
that has waited for two seconds is refused with status 429, so that other pages stay fast. Django's
default parameters would need 100 MiB for each hash.
"""

import base64
import os
import unicodedata
from collections.abc import Callable
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.common import metrics
from accounts.common.errors import Busy
from accounts.passwords.hashing_threads import HashingThreads

WAIT_SECONDS = 2.0
RETRY_AFTER_SECONDS = 3
MAX_LENGTH = 1024

_cores = os.cpu_count() or 1
_slots = BoundedSemaphore(_cores)
_threads = HashingThreads(_cores)


def in_slot[T](work: Callable[[], T]) -> T:
    """Run ``work`` in a hashing thread and return its result.

    Raises:
        Busy: no thread became free within two seconds.
    """
    with metrics.HASHES_WAITING.track_inprogress():
        has_one = _slots.acquire(timeout=WAIT_SECONDS)
    if not has_one:
        metrics.HASHES_REFUSED.inc()
        raise Busy(RETRY_AFTER_SECONDS)
    try:
        with metrics.HASHES_RUNNING.track_inprogress():
            return _threads.run(work)
    finally:
        _slots.release()


def canonical(password: str) -> str:
    """Return ``password`` in Unicode normal form C (RFC 8265 section 4.2).

    Different keyboards may encode the same characters differently.
    """
    return unicodedata.normalize("NFC", password)


class Argon2id(Argon2PasswordHasher):
    """Django's Argon2 hasher with this site's parameters and a limit on simultaneous hashes.

    Passwords are converted to their canonical form before they are hashed.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the encoded hash of ``password``.

        Raises:
            ValueError: the password is longer than 1,024 characters, the limit for new passwords.
        """
        if len(password) > MAX_LENGTH:
            raise ValueError(f"a password has at most {MAX_LENGTH} characters")
        encode = super().encode
        return in_slot(lambda: encode(canonical(password), salt))

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether ``password`` matches ``encoded``.

        A password that is too long does not match and is not hashed.
        """
        if len(password) > MAX_LENGTH:
            return False
        verify = super().verify
        return in_slot(lambda: verify(canonical(password), encoded))

    def dummy_hash(self) -> str:
        """Return a hash that no password matches.

        Verifying a password against this hash takes as long as against a real one.
        """
        salt, digest = (base64.b64encode(bytes(n)).decode().rstrip("=") for n in (16, 32))
        cost = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        return f"{self.algorithm}$argon2id$v=19${cost}${salt}${digest}"
