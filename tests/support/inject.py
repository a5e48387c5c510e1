"""Inject faults and a controlled clock into a running server, without a switch in its code.

Python imports a ``sitecustomize`` module from its path at each start, in the server's workers
too. The clock stands still until it is moved, so that tests do not depend on the machine's speed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.site import ROOT

HOOK = """
import datetime, os, pathlib, signal, threading
here = pathlib.Path(__file__).parent

from accounts.common import clock

def now():
    # The outbox is one second ahead: on a standing clock no mail would ever be old enough to send.
    ahead = threading.current_thread().name == "outbox"
    read = datetime.datetime.fromisoformat((here / "now").read_text())
    return read + datetime.timedelta(seconds=ahead)

clock._now = now

from django.db.backends.utils import CursorWrapper
execute = CursorWrapper.execute

def note_and_execute(self, sql, params=None):
    self.rotates = sql.startswith("UPDATE") and "former_digest" in sql
    return execute(self, sql, params)

def close_and_kill(self):
    # Closing the cursor commits the statement on SQLite.
    if self.__dict__.get("rotates") and (here / "kill").exists():
        self.cursor.close()
        (here / "kill").unlink()
        os.killpg(0, signal.SIGKILL)

CursorWrapper.execute, CursorWrapper.__del__ = note_and_execute, close_and_kill
"""


class Injected:
    """The hook in ``folder``; ``env`` is the environment that makes a site load it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.now(UTC)
        (folder / "sitecustomize.py").write_text(HOOK)
        self.advance(0)
        self.env = {"PYTHONPATH": f"{folder}:{ROOT}"}

    def advance(self, seconds: float) -> None:
        """Move the clock forward for all processes that have the hook."""
        self._now += timedelta(seconds=seconds)
        new = self._folder / "new"
        new.write_text(self._now.isoformat())
        new.replace(self._folder / "now")

    def kill_after_rotation(self) -> None:
        """Kill the server and its workers after the next rotation of a refresh token.

        The statement is committed and its cursor closed, but no answer has been sent.
        """
        (self._folder / "kill").touch()

    @property
    def is_killed(self) -> bool:
        """Whether the server was killed after a rotation."""
        return not (self._folder / "kill").exists()
