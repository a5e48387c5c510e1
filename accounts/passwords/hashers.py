"""Hashes passwords with Argon2id: 19 MiB, 2 passes, 1 lane (OWASP's minimum, RFC 9106).

A thread keeps the 19 MiB of a hash for the next hash, because allocating them anew makes a hash 15
to 40 % slower (with ``MALLOC_MMAP_THRESHOLD_``). After a pause, it releases them: after 150
sign-ins of 24 clients, the site has 97 MiB (PSS) instead of 138. ``malloc_trim`` alone leaves 136.

Hashing is the most expensive work of the site, and anonymous visitors can cause it. Therefore the
number of simultaneous hashes is limited to the number of cores. A request that has waited for two
seconds is refused with status 429, so that other pages stay fast. Django's default parameters would
need 100 MiB for each hash.

``deploy/argon2/build`` compiles the installed version of Argon2 for processors with AVX2. A hash
then takes 13 ms instead of 23 ms with the published build.
"""

import base64
import ctypes
import logging
import os
import sys
import sysconfig
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.common import metrics
from accounts.common.errors import Busy
from accounts.passwords.schemes import argon2_fits

log = logging.getLogger(__name__)

# While 12 clients sign in, this reduces the 99th percentile of the time of other API calls to a
# third.
NICENESS = 10
PAUSE_SECONDS = 3.0
# A parameter of glibc's ``mallopt`` (malloc.h): the maximum number of free bytes at the end of an
# arena.
M_TRIM_THRESHOLD = -1
# When a block of at least this size is freed, glibc compares the free bytes with the threshold.
LARGE = 1 << 16
# The maximum value to which glibc raises the threshold by itself.
MOST_KEPT = 64 << 20

V3 = "x86-64-v3"
PUBLISHED = "published"
# The features of x86-64-v3 (System V ABI, AMD64 supplement, table 3.1), by their names in Linux.
# AVX and XSAVE are missing, because no system offers AVX2 without them.
V3_FLAGS = {"abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}


def load_argon2(folder: Path, cpuinfo: Path) -> str:
    """Load Argon2 from ``folder`` if the processor supports this build; return the build's name.

    A build of another version than the installed one is not loaded.
    """
    versions = [info.name for info in folder.glob("*.dist-info")]
    is_current = any(Path(sysconfig.get_path("platlib"), name).is_dir() for name in versions)
    sys.path.insert(0, str(folder))
    try:
        if is_current and _flags(cpuinfo) >= V3_FLAGS:
            loaded = import_module("_argon2_cffi_bindings")
            return V3 if Path(str(loaded.__file__)).is_relative_to(folder) else PUBLISHED
    except ImportError:
        log.warning("the build of Argon2 for this processor cannot be loaded", exc_info=True)
    finally:
        sys.path.remove(str(folder))
    return PUBLISHED


def _flags(cpuinfo: Path) -> set[str]:
    """Return the features of the first processor; an empty set unless this is Linux on x86."""
    with suppress(OSError), cpuinfo.open() as lines:
        return set(next((line for line in lines if line.startswith("flags")), "").split())
    return set()


# No other module may import Argon2 before this one.
BUILD = load_argon2(Path(sys.prefix, "argon2-v3"), Path("/proc/cpuinfo"))
metrics.ARGON2.info({"build": BUILD})

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.free.argtypes = (ctypes.c_void_p,)


class HashingThreads:
    """At most ``number`` threads, each started when it is first needed."""

    def __init__(self, number: int) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._unstarted = [
            threading.Thread(target=self._run, name=f"hash {n}", daemon=True) for n in range(number)
        ]

    def run[T](self, work: Callable[[], T]) -> T:
        """Run ``work`` in one of the threads; return its result or raise its exception."""
        future: Future[T] = Future()
        self._jobs.put((future, work))
        with suppress(IndexError):
            self._unstarted.pop().start()
        return future.result()

    def _run(self) -> None:
        # The threads that hash nothing run first. Linux has a priority for each thread, which it
        # does not let an ordinary user raise: the process may be of low priority already.
        if sys.platform == "linux":
            niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        pause: float | None = None
        while True:
            try:
                _complete(*self._jobs.get(timeout=pause))
                pause = PAUSE_SECONDS
            except Empty:
                _release_memory()
                pause = None


def _complete(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _release_memory() -> None:
    """Release the free memory of this thread to the system. Other C libraries do so by themselves.

    ``malloc_trim`` releases free memory between used blocks, but not the free end of an arena.
    """
    if hasattr(_libc, "mallopt"):
        _libc.malloc_trim(0)
        _libc.mallopt(M_TRIM_THRESHOLD, 0)
        _libc.free(_libc.malloc(LARGE))
        _libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT)


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

    def decode(self, encoded: str) -> dict[str, Any]:
        """Return the parts of ``encoded``.

        Raises:
            ValueError: ``encoded`` is damaged, or takes too much memory or time.
        """
        decoded: dict[str, Any] = super().decode(encoded)
        costs = (decoded[name] for name in ("memory_cost", "time_cost", "parallelism"))
        if not argon2_fits(*costs):
            raise ValueError("the costs of an Argon2 hash are too high")
        return decoded

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
