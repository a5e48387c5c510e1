"""The threads that compute password hashes.

A thread keeps the 19 MiB of a hash for the next one, because getting them from the system makes the
hash 15 to 40 % slower (with ``MALLOC_MMAP_THRESHOLD_``). After a pause, it returns them: after 150
sign-ins of 24 clients, the site has 97 MiB (PSS) instead of 138. ``malloc_trim`` alone leaves 136.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

# While 12 clients sign in, the slowest percent of other API calls takes a third of the time that it
# takes without it.
NICENESS = 10
PAUSE_SECONDS = 3.0
# A parameter of glibc's ``mallopt`` (malloc.h): how many free bytes the end of an arena may have.
M_TRIM_THRESHOLD = -1
# From this size, glibc compares them with the threshold when a block is freed.
LARGE = 1 << 16
# What glibc sets by itself at most.
MOST_KEPT = 64 << 20

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.free.argtypes = (ctypes.c_void_p,)


class HashingThreads:
    """At most ``number`` threads, each of which starts when it is first needed."""

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
        _lower_priority()
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
    """Return the free memory of this thread to the system. Other C libraries do so by themselves.

    ``malloc_trim`` returns what is free between blocks in use, but not the free end of an arena.
    """
    if hasattr(_libc, "mallopt"):
        _libc.malloc_trim(0)
        _libc.mallopt(M_TRIM_THRESHOLD, 0)
        _libc.free(_libc.malloc(LARGE))
        _libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT)


def _lower_priority() -> None:
    """Let the threads that hash nothing run first. Linux has a priority for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
