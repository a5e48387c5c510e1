"""A server that is told to stop finishes what it has begun."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from authsite.serving.server import SignalEvent
from tests.support.process import LATER_SECONDS, listening, slack, within
from tests.support.site import Site
from tests.support.smtp import MailServer
from tests.support.steps import CONFIRM, sign_up, sql


def test_a_stopping_server_finishes_requests_and_mails_in_progress():
    """Withstands a failure."""
    with MailServer("tarpit") as server, Site(EMAIL_URL=server.url) as site:
        assert sign_up(site.client(), "alice").status == 302
        assert server.arrived.wait(LATER_SECONDS)
        with (
            ThreadPoolExecutor(2) as pool,
            closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            request = pool.submit(sign_up, site.client(), "bob")
            time.sleep(1)  # the request waits for the lock by then
            assert not request.done()
            stopped = pool.submit(site.process.stop, signal.SIGTERM)
            assert within(LATER_SECONDS, lambda: not listening(site.port)), (
                "the server still accepts requests"
            )
            assert not stopped.done()
            other.rollback()

            assert request.result().location == CONFIRM
            assert not stopped.done(), "a mail is still being sent"
            server.release()
            assert stopped.result() == 0

        waiting = sql(site, "SELECT attempts FROM accounts_outgoingmail ORDER BY attempts")
        # Alice's mail was being sent and the closing server refused it, so its lease must be gone.
        assert len(waiting) + len(server.mails) == 2
        soon = "SELECT 1 FROM accounts_outgoingmail WHERE due_at > datetime('now', '+1 minute')"
        assert sql(site, soon) == []


def test_a_worker_ends_when_its_parent_is_killed():
    """An orphaned worker would keep the port and use secrets that may have been changed since."""
    with Site() as site:
        os.kill(site.process.pid, signal.SIGKILL)

        assert within(LATER_SECONDS, lambda: not listening(site.port))
        site.kill()
        assert site.start().client().get("/health/live").status == 200


def test_a_signal_stops_the_server_even_if_it_arrives_when_the_wait_for_it_begins():
    event, is_handled = SignalEvent(), threading.Event()

    def interrupted_while_it_holds_the_lock():
        with event._cond:
            event.set()
        is_handled.set()

    threading.Thread(target=interrupted_while_it_holds_the_lock, daemon=True).start()

    assert is_handled.wait(LATER_SECONDS)
    assert event.wait(LATER_SECONDS)


# Starts what a server process is when it forks a worker, and stops the worker at once.
STOPPED_AT_ONCE = """
import os, signal
from authsite.serving.server import let_sigterm_end_forks

signal.signal(signal.SIGTERM, lambda *_: None)
let_sigterm_end_forks()
for _ in range(20):
    if not (worker := os.fork()):
        while True:
            signal.pause()
    os.kill(worker, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM
"""


def test_a_sigterm_ends_a_worker_that_has_just_started():
    """Otherwise stopping the server would wait for a worker that has only recorded the signal."""
    command = [sys.executable, "-c", STOPPED_AT_ONCE]
    done = subprocess.run(command, timeout=LATER_SECONDS * slack(), check=False)

    assert done.returncode == 0


# Sends ten rows, each in half a second, to one receiver, and ends its main thread meanwhile.
STOPPED_WHILE_IT_DELIVERS = """
import time, django
from types import SimpleNamespace
django.setup()
from accounts.common.background import Background
from accounts.common.leases import Sender

queue = SimpleNamespace(remove=bool, put_off=bool, release=lambda rows: print(len(rows), "left"))
queue.model = SimpleNamespace(_meta=SimpleNamespace(verbose_name="notice"))
rows = [[SimpleNamespace(to=SimpleNamespace(pk=1), to_id=1) for _ in range(10)]]
sender = Sender(queue, "to", contents=list, send=lambda *_: time.sleep(0.5) or "")
sender._claim = lambda *_: rows.pop() if rows else []
thread = Background("deliveries", lambda: sender.send_due() and 0.1, end=sender.finish)
sender.is_stopping = thread.stopping.is_set
thread.start()
time.sleep(1.2)
"""


def test_a_stopping_server_gives_back_what_it_has_not_yet_delivered():
    command = [sys.executable, "-c", STOPPED_WHILE_IT_DELIVERS]
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "authsite.settings"}
    done = subprocess.run(command, timeout=60 * slack(), check=True, env=env, capture_output=True)

    released = [int(line.split()[0]) for line in done.stdout.decode().splitlines()]
    assert max(released) >= 5
