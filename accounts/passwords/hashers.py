"""How passwords are hashed: Argon2id with 19 MiB, 2 passes, 1 lane (OWASP's minimum, RFC 9106).

Hashing is the dearest thing the site does, and strangers can ask for it. Only as many run at once
as the processor has cores; who has waited two seconds is told to come back (429), and the other
pages stay quick. They run in threads of their own: each thread that has ever hashed keeps its
19 MiB. Django's own parameters would take 100 MiB a login.
"""

import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.common import metrics
from accounts.common.errors import Busy

WAIT_SECONDS = 2.0
RETRY_AFTER_SECONDS = 3
MAX_LENGTH = 1024

_cores = os.cpu_count() or 1
_slots = BoundedSemaphore(_cores)
_threads = ThreadPoolExecutor(_cores, thread_name_prefix="hash")


def in_slot[T](work: Callable[[], T]) -> T:
    """What ``work`` gives, once there is a place to hash in; :class:`Busy` when none comes soon."""
    with metrics.HASHES_WAITING.track_inprogress():
        has_one = _slots.acquire(timeout=WAIT_SECONDS)
    if not has_one:
        metrics.HASHES_REFUSED.inc()
        raise Busy(RETRY_AFTER_SECONDS)
    try:
        with metrics.HASHES_RUNNING.track_inprogress():
            return _threads.submit(work).result()
    finally:
        _slots.release()


def canonical(password: str) -> str:
    """One person's password is the same from every keyboard (RFC 8265 section 4.2: NFC)."""
    return unicodedata.normalize("NFC", password)


class Argon2id(Argon2PasswordHasher):
    """Django's hasher with our parameters, a canonical password and a place to hash in."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """As Django's; ``ValueError`` for over 1,024 characters, which forms refuse before."""
        if len(password) > MAX_LENGTH:
            raise ValueError(f"a password has at most {MAX_LENGTH} characters")
        encode = super().encode
        return in_slot(lambda: encode(canonical(password), salt))

    def verify(self, password: str, encoded: str) -> bool:
        """As Django's; what is too long to be a password is not hashed."""
        if len(password) > MAX_LENGTH:
            return False
        verify = super().verify
        return in_slot(lambda: verify(canonical(password), encoded))

    def nobodys(self) -> str:
        """A hash that fits no password, whose verification costs what a real one's does."""
        salt, digest = (base64.b64encode(bytes(n)).decode().rstrip("=") for n in (16, 32))
        cost = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        return f"{self.algorithm}$argon2id$v=19${cost}${salt}${digest}"
