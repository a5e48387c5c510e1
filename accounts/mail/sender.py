"""The thread of a server process that sends the emails in the outbox."""

from datetime import timedelta

from accounts.common.background import Background
from accounts.mail import services, wake

LOOK_EVERY_SECONDS = 1.0
# The sender waits for this time, in which the request that posted the email is answered. The two
# share one interpreter, and an email to a person occupies it longer than an email to nobody, so the
# duration of the request would otherwise reveal whether the person exists.
REST = timedelta(milliseconds=200)


def start() -> None:
    """Start the sender thread of this process, unless it is running.

    If the process is killed, another sender sends its emails after their leases have expired.
    """
    _thread.start()


def _send() -> float:
    is_busy = services.deliver_due(_thread.stopping.is_set, REST) > 0
    return 0.0 if is_busy else LOOK_EVERY_SECONDS


def _sleep(seconds: float) -> None:
    wake.sleep(seconds)
    _thread.stopping.wait(REST.total_seconds())


_thread = Background("outbox", _send, sleep=_sleep, wake=wake.up)
