"""Background threads of a server process."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread, main_thread

from django.db import close_old_connections

log = logging.getLogger(__name__)

AFTER_TROUBLE_SECONDS = 5.0


class Background:
    """A thread that repeats ``work`` until the process ends.

    ``work``: does the due work, and returns the number of seconds until the next call.
    ``sleep``: waits for at most the given seconds. It must return soon after ``wake`` is called.
    ``end``: called in the thread after the last ``work``.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float],
        *,
        sleep: Callable[[float], object] | None = None,
        wake: Callable[[], object] = bool,
        end: Callable[[], object] = bool,
    ) -> None:
        self.name = name
        self.stopping = Event()
        self._work, self._wake, self._end = work, wake, end
        self._sleep = sleep or self.stopping.wait
        self._lock = Lock()
        self._is_started = False

    def start(self) -> None:
        """Start the thread, unless it is running."""
        with self._lock:
            if not self._is_started:
                self._is_started = True
                Thread(target=self.run, name=self.name).start()
                Thread(target=self._stop_in_time, name=f"{self.name} stop").start()

    def run(self) -> None:
        """Repeat the work until the process ends."""
        while not self.stopping.is_set():
            try:
                close_old_connections()
                pause = self._work()
            except Exception:  # the thread must survive an outage of the database
                log.exception("The thread %r has failed", self.name)
                pause = AFTER_TROUBLE_SECONDS
            if pause:
                self._sleep(pause)
        self._end()

    def _stop_in_time(self) -> None:
        """Stop the thread when the main thread ends. The process then waits for the thread."""
        main_thread().join()
        self.stopping.set()
        self._wake()
