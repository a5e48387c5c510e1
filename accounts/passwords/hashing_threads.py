"""The threads that compute password hashes.

A thread keeps the 19 MiB of a hash for the next one, because getting them from the system takes
half as long as the hash. After a pause, it returns them.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from accounts.common import memory

# While 12 clients sign in, the slowest percent of other API calls takes a third of the time that it
# takes without it.
NICENESS = 10
PAUSE_SECONDS = 3.0


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
                memory.release()
                pause = None


def _complete(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _lower_priority() -> None:
    """Let the threads that hash nothing run first. Linux has a priority for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
