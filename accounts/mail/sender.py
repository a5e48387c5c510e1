"""The thread of the server that empties the outbox."""

import logging
from threading import Event, Lock, Thread, main_thread

from django.db import close_old_connections

from accounts.mail import services, wake

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
AFTER_TROUBLE_SECONDS = 5.0

_lock = Lock()
_started: list[Thread] = []
_stopping = Event()


def start() -> None:
    """Start the sender of this process, once. Leases cover its death."""
    with _lock:
        if not _started:
            _started.append(Thread(target=_run, name="outbox"))
            _started[0].start()
            Thread(target=_stop_in_time, name="outbox stop").start()


def _run() -> None:
    while not _stopping.is_set():
        try:
            close_old_connections()
            busy = services.deliver_due(_stopping.is_set) > 0
            pause = 0.0 if busy else LOOK_EVERY_SECONDS
        except Exception:  # the database may be away; the thread must outlive that
            log.exception("the outbox can't be read")
            pause = AFTER_TROUBLE_SECONDS
        wake.sleep(pause)


def _stop_in_time() -> None:
    """A process that ends waits for this thread and the sender, and so for the mail on its way."""
    main_thread().join()
    _stopping.set()
    wake.up()
