"""Inject a controlled clock into a running server, without a switch in its code.

Python imports a ``sitecustomize`` module from its path at each start, in the server's workers
too. The clock stands still until it is moved, so that tests do not depend on the machine's speed.
The site hashes with the cheapest parameters.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.site import ROOT

HOOK = """
import datetime, pathlib, threading
here = pathlib.Path(__file__).parent

import tests.support.cheap_hashes.sitecustomize
from accounts.common import clock

def now():
    # The outbox is one second ahead: on a standing clock no mail would ever be old enough to send.
    ahead = threading.current_thread().name == "outbox"
    read = datetime.datetime.fromisoformat((here / "now").read_text())
    return read + datetime.timedelta(seconds=ahead)

clock._now = now
"""


class Injected:
    """The hook in ``folder``; ``env`` is the environment that makes a site load it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.now(UTC)
        (folder / "sitecustomize.py").write_text(HOOK)
        self.advance()
        self.env = {"PYTHONPATH": f"{folder}:{ROOT}"}

    def now(self) -> datetime:
        """Return the time of the clock."""
        return self._now

    def advance(self, **interval: float) -> None:
        """Move the clock forward, by days or seconds, for all processes that have the hook."""
        self._now += timedelta(**interval)
        new = self._folder / "new"
        new.write_text(self._now.isoformat())
        new.replace(self._folder / "now")
