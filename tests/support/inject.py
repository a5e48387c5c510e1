"""Faults and moved time in the real server: a hook that Python runs before the site's first line.

Time stands still there, as with the ``clock`` of tests in process, however slow the machine is.

The site's own code has no switch for either. ``sitecustomize`` is imported by every Python that
finds it on its path; the workers of the server are such.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.site import ROOT

HOOK = """
import datetime, os, pathlib, signal, threading
here = pathlib.Path(__file__).parent

from accounts.common import clock

def now():
    # The sender is a second ahead: where time stands still, no mail would ever have rested.
    ahead = threading.current_thread().name == "outbox"
    read = datetime.datetime.fromisoformat((here / "now").read_text())
    return read + datetime.timedelta(seconds=ahead)

clock._now = now

from django.db.backends.utils import CursorWrapper
execute, leave = CursorWrapper.execute, CursorWrapper.__exit__

def execute_and_look(self, sql, params=None):
    self.rotates = "former_digest = o.refresh_digest" in sql
    return execute(self, sql, params)

def leave_and_die(self, *args):
    done = leave(self, *args)
    if getattr(self, "rotates", False) and (here / "kill").exists():
        (here / "kill").unlink()
        os.killpg(0, signal.SIGKILL)
    return done

CursorWrapper.execute, CursorWrapper.__exit__ = execute_and_look, leave_and_die
"""


class Injected:
    """The hook, in ``folder``. ``env`` is what a site needs in its environment to have it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.now(UTC)
        (folder / "sitecustomize.py").write_text(HOOK)
        self.advance(0)
        self.env = {"PYTHONPATH": f"{folder}:{ROOT}"}

    def advance(self, seconds: float) -> None:
        """Let it be later, for all processes with the hook at once."""
        self._now += timedelta(seconds=seconds)
        new = self._folder / "new"
        new.write_text(self._now.isoformat())
        new.replace(self._folder / "now")

    def kill_after_rotation(self) -> None:
        """Kill the server, its workers too, when next a refresh token was rotated: the statement
        is committed, its cursor closed, and nothing answered."""
        (self._folder / "kill").touch()

    @property
    def is_killed(self) -> bool:
        """Whether that has happened."""
        return not (self._folder / "kill").exists()
