"""The thread of a server process that sends the emails in the outbox."""

import logging
from datetime import timedelta
from threading import Event, Lock, Thread, main_thread

from django.db import close_old_connections

from accounts.mail import services, wake

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
AFTER_TROUBLE_SECONDS = 5.0
# The sender waits for this time, in which the request that posted the email is answered. The two
# share one interpreter, and an email to a person occupies it longer than an email to nobody, so the
# duration of the request would otherwise reveal whether the person exists.
REST = timedelta(milliseconds=200)

_lock = Lock()
_started: list[Thread] = []
_stopping = Event()


def start() -> None:
    """Start the sender thread of this process, unless it is running.

    If the process is killed, another sender sends its emails after their leases have expired.
    """
    with _lock:
        if not _started:
            _started.append(Thread(target=_run, name="outbox"))
            _started[0].start()
            Thread(target=_stop_in_time, name="outbox stop").start()


def _run() -> None:
    while not _stopping.is_set():
        try:
            close_old_connections()
            busy = services.deliver_due(_stopping.is_set, REST) > 0
            pause = 0.0 if busy else LOOK_EVERY_SECONDS
        except Exception:  # the thread must survive an outage of the database
            log.exception("The outbox can't be read")
            pause = AFTER_TROUBLE_SECONDS
        if pause:
            wake.sleep(pause)
            _stopping.wait(REST.total_seconds())


def _stop_in_time() -> None:
    """Stop the sender when the main thread ends. The process then waits for the current email."""
    main_thread().join()
    _stopping.set()
    wake.up()
