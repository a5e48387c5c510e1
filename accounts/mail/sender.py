"""The thread of the server that empties the outbox."""

import logging
from threading import Lock, Thread

from django.db import close_old_connections

from accounts.mail import services, wake

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
AFTER_TROUBLE_SECONDS = 5.0

_lock = Lock()
_started: list[Thread] = []


def start() -> None:
    """Start the sender of this process, once. It ends with the process; leases cover its death."""
    with _lock:
        if not _started:
            _started.append(Thread(target=_run, name="outbox", daemon=True))
            _started[0].start()


def _run() -> None:
    while True:
        try:
            close_old_connections()
            busy = services.deliver_due() > 0
            pause = 0.0 if busy else LOOK_EVERY_SECONDS
        except Exception:  # the database may be away; the thread must outlive that
            log.exception("the outbox can't be read")
            pause = AFTER_TROUBLE_SECONDS
        wake.sleep(pause)
