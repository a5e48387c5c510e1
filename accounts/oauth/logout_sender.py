"""The thread of a server process that sends the logout notices."""

from accounts.common.background import Background
from accounts.oauth.logout_notices import Sender

LOOK_EVERY_SECONDS = 1.0
SETTLE_EVERY_SECONDS = 0.5


def start() -> None:
    """Start the sender thread of this process, unless it is running.

    If the process is killed, another sender sends its notices after their leases have expired.
    """
    _thread.start()


def _send() -> float:
    if not _sender.send_due():
        return LOOK_EVERY_SECONDS
    _sender.wait(SETTLE_EVERY_SECONDS)
    return 0.0


def _finish() -> None:
    _sender.finish()


_thread = Background("logout notices", _send, end=_finish)
_sender = Sender(_thread.stopping.is_set)
