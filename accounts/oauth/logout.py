"""Tells apps that their sessions have ended (OpenID Connect Back-Channel Logout 1.0).

A notice is a row, written in the transaction that ends the session. Sender threads lease the rows
that are due, and send each notice at least once: twice if a process is killed, or loses its lease,
between sending a notice and deleting its row. Apps see no difference, because a session ends once.

Each app has a thread of its own, so that an app that hangs delays only its own notices.

The sender runs in a process of its own. A server process starts it when the first app with a
back-channel logout URI is registered. TLS and signatures occupy the Python interpreter; in the
server process, they would delay sign-outs. The process ends when its standard input ends. This
happens when the server process ends, even if that is killed. The process writes the numbers for the
metrics of the server process to its standard output, as lines of JSON.

A notice sends a logout token. The header of the token has the type ``logout+jwt``, so that nobody
accepts it as an ID token or an access token (section 2.4).
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from django.conf import settings
from django.db import connection, connections
from django.db.models import Count, DateTimeField, Exists, OuterRef, QuerySet, UUIDField, Value
from django.db.models.functions import Coalesce

from accounts.common import clock, logs, metrics, secrets
from accounts.common.background import AFTER_TROUBLE_SECONDS, Background
from accounts.common.database import delete_in_batches
from accounts.common.leases import LeasedQueue
from accounts.oauth import id_tokens
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.models import LogoutNotice
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring, signatures

TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=2)


def issue(session_id: uuid.UUID, subject: uuid.UUID, client_id: str) -> str:
    """Return a logout token for the app ``client_id`` about its session ``session_id``.

    ``subject``: the :attr:`LoginSession.subject` of that session.

    Each token has a new ``jti``: an app may refuse a second token with the same one as a replay,
    although it has not acted on the first.
    """
    now = clock.now()
    claims = {
        "iss": settings.AUTHSITE.origin,
        "aud": client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": secrets.token(),
        "sub": str(subject),
        "sid": str(session_id),
        "events": {EVENT: {}},
    }
    return signatures.sign(claims, TYPE, keyring.signer(id_tokens.algorithm()))


log = logging.getLogger(__name__)

# How many apps one process sends to at once, and how many notices an app gets in a row.
MOST_APPS, BATCH = 32, 20
# The seconds for one notice, name lookup included, and for all notices of a batch.
SECONDS, BATCH_SECONDS = 3.0, 20.0
# The seconds without notices to an app after it has failed; they double with each further failure.
# Otherwise many apps that hang would take the turns of all others.
REST_SECONDS, LONGEST_REST_SECONDS = 5.0, 300.0
# The pause before the first attempt. The request that ends the session is answered meanwhile, and
# several notices to an app are sent together.
REST = timedelta(milliseconds=500)
NOTICES = LeasedQueue(
    LogoutNotice,
    # Longer than a batch takes, unless a name server hangs.
    lease=timedelta(minutes=1),
    first_wait=timedelta(seconds=5),
    longest_wait=timedelta(hours=1),
    life=timedelta(days=1),
)
# In bytes. The body of the answer is not evaluated.
LONGEST_RESPONSE = 10_000
# Section 2.8: apps must answer 200, but some frameworks answer 204 instead.
DONE = {200, 204}


def post(rows: QuerySet[LoginSession]) -> None:
    """Write a notice for each of the sessions ``rows`` whose app has a back-channel logout URI.

    An app that has stayed connected after the person signed out has had its notice then.

    Call this in the transaction that ends the sessions.
    """
    now, due = (Value(at, DateTimeField()) for at in (clock.now(), clock.now() + REST))
    told = rows.filter(app_session__isnull=False, signed_out_at=None)
    told = told.exclude(app_session__client__backchannel_logout_uri="").order_by()
    subject = Coalesce("pairwise_subject", "user_id", output_field=UUIDField())
    values = told.values_list("pk", "app_session__client", subject, now, due, Value(0))
    text, parameters = values.query.sql_with_params()
    columns = "session_id, client_id, subject, created_at, due_at, attempts"
    table = LogoutNotice._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) {text} ON CONFLICT DO NOTHING",
            parameters,
        )


def is_needed() -> bool:
    """Return whether any app has a back-channel logout URI, or any notice waits."""
    told = Client.objects.exclude(backchannel_logout_uri="")
    return told.exists() or LogoutNotice.objects.exists()


def give_up() -> int:
    """Delete the notices that are older than a day; return how many were deleted."""
    old = LogoutNotice.objects.filter(created_at__lte=clock.now() - NOTICES.life)
    for app, count in old.order_by().values_list("client").annotate(Count("pk")):
        log.error("App %s was not told that sessions ended: %d", app, count)
    return delete_in_batches(old)


@dataclass
class Sender:
    """Sends the notices that are due, to several apps at once.

    Call all its methods in the same thread. The threads that send do not use the database.

    ``outcomes``: how many notices were ``sent``, or ``failed`` and will be repeated.
    """

    is_stopping: Callable[[], bool] = bool
    outcomes: Counter[str] = field(default_factory=Counter)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MOST_APPS, "logout notices")
    )
    _under_way: dict["Future[list[str]]", list[LogoutNotice]] = field(default_factory=dict)
    # For each app that has failed: the time of the monotonic clock until which it gets no notices,
    # and the seconds from the failure until then.
    _resting: dict[str, tuple[float, float]] = field(default_factory=dict)

    def send_due(self) -> bool:
        """Start to send the notices that are due, and record the results of earlier ones.

        Return whether any notice is still being sent.
        """
        self._settle_done()
        self._begin()
        return bool(self._under_way)

    def finish(self) -> None:
        """Start no more batches, wait for those that are being sent, and record their results."""
        self._threads.shutdown(cancel_futures=True)
        self._settle_done()

    def _begin(self) -> None:
        now = time.monotonic()
        resting = {app for app, (until, _seconds) in self._resting.items() if until > now}
        busy = {notices[0].client_id for notices in self._under_way.values()}
        claimed = _claim(busy | resting, MOST_APPS - len(busy))
        if not claimed:
            return
        id_tokens.be_ready()
        for client, group in groupby(claimed, lambda notice: notice.client):
            notices = list(group)
            tokens = [issue(n.session_id, n.subject, n.client_id) for n in notices]
            future = self._threads.submit(_send_all, client, tokens, self.is_stopping)
            self._under_way[future] = notices

    def _settle_done(self) -> None:
        sent: list[LogoutNotice] = []
        failed: list[LogoutNotice] = []
        rest: list[LogoutNotice] = []
        for future in [future for future in self._under_way if future.done()]:
            notices = self._under_way.pop(future)
            failures = [] if future.cancelled() else future.result()
            accepted = [failure for failure in failures if not failure]
            sent += notices[: len(accepted)]
            failed += notices[len(accepted) : len(failures)]
            rest += notices[len(failures) :]
            self._note(notices[0].client_id, has_failed=len(accepted) < len(failures))
        self.outcomes.update(sent=len(sent), failed=len(failed))
        # Each statement is a transaction of its own: SQLite lets one process write at a time, and
        # the requests must not wait for what Python does between two statements.
        if sent:
            LogoutNotice.objects.filter(pk__in=[notice.pk for notice in sent]).delete()
        NOTICES.put_off(failed)
        NOTICES.release(rest)

    def _note(self, app: str, *, has_failed: bool) -> None:
        _until, seconds = self._resting.pop(app, (0.0, REST_SECONDS / 2))
        if has_failed:
            seconds = min(2 * seconds, LONGEST_REST_SECONDS)
            self._resting[app] = time.monotonic() + seconds, seconds


def _claim(busy: set[str], most: int) -> Sequence[LogoutNotice]:
    """Lease and return due notices to at most ``most`` apps, none of which is in ``busy``."""
    due = NOTICES.due()
    waiting = Client.objects.filter(Exists(due.filter(client=OuterRef("pk"))))
    apps = waiting.exclude(pk__in=busy).values_list("pk", flat=True)[:most]
    firsts = [due.filter(client=app).order_by("due_at")[:BATCH] for app in apps]
    pks = [pk for rows in firsts for pk in rows.values_list("pk", flat=True)]
    claimed = NOTICES.claim(pks) if pks else LogoutNotice.objects.none()
    return list(claimed.select_related("client").order_by("client", "created_at"))


def _send_all(client: Client, tokens: list[str], is_stopping: Callable[[], bool]) -> list[str]:
    """Send the tokens until one fails; return the result of each attempt.

    A result is the name of the failure, or an empty string if the app has accepted the token.
    """
    failures: list[str] = []
    end = time.monotonic() + BATCH_SECONDS
    while len(failures) < len(tokens) and not any(failures):
        if is_stopping() or time.monotonic() > end:
            break
        failures.append(_send(client, tokens[len(failures)]))
    for failure in filter(None, failures):
        log.warning("A logout notice to app %s failed and will be repeated: %s", client.pk, failure)
    return failures


def _send(client: Client, token: str) -> str:
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    # A member of staff may have removed the URI meanwhile, or an operator the host, which somebody
    # else may control now.
    if not client.backchannel_logout_uri or uris.is_withdrawn(client.pk):
        return ""
    try:
        with http_client.limited(
            SECONDS, LONGEST_RESPONSE, takes_private=client.backchannel_logout_is_private
        ) as session:
            answer = session.post(client.backchannel_logout_uri, {"logout_token": token})
    except Exception as error:  # whatever a server answers, the other notices must be sent
        return type(error).__name__
    return "" if answer.status_code in DONE else f"status {answer.status_code}"


LOOK_EVERY_SECONDS = 1.0
# How often the results of what is being sent are recorded.
SETTLE_SECONDS = 0.1
REPORT_SECONDS = 5.0


class Starter:
    """Starts the process that sends notices, in a thread of the server process.

    ``module``: the module that the process runs. It must run :class:`Program`.
    """

    def __init__(self, module: str) -> None:
        self._command = [sys.executable, "-m", module]
        self._process: subprocess.Popen[str] | None = None
        self._thread = Background("logout notices", self._work, wake=self._end)

    def start(self) -> None:
        """Start the thread, unless it is running.

        If the process of the sender is killed, another sender sends its notices after their leases
        have expired.
        """
        self._thread.start()

    def _work(self) -> float:
        if not is_needed():
            return LOOK_EVERY_SECONDS
        connections.close_all()
        pipe = subprocess.PIPE
        with subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True) as process:
            self._process = process
            if self._thread.stopping.is_set():
                self._end()
            for line in process.stdout or ():
                measure(*json.loads(line))
        if process.returncode:
            log.error("The process that sends logout notices has ended: %d", process.returncode)
            return AFTER_TROUBLE_SECONDS
        return 0.0

    def _end(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()


def measure(count: int, age: float, outcomes: Mapping[str, int]) -> None:
    """Set the metrics of notices.

    ``count``: how many notices wait. ``age``: the age of the oldest in seconds.
    ``outcomes``: how many notices were sent, and how many failed, since the last call.
    """
    metrics.LOGOUT_NOTICES_WAITING.set(count)
    metrics.LOGOUT_NOTICES_OLDEST.set(age)
    for outcome, number in outcomes.items():
        metrics.LOGOUT_NOTICES.labels(outcome).inc(number)


class Program:
    """The program that sends notices. It ends when no app needs it, or standard input ends."""

    def __init__(self) -> None:
        self._loop = Background("logout notices", self._work, end=self._finish)
        self._sender = Sender(self._loop.stopping.is_set)
        self._report_at = time.monotonic()

    def run(self) -> None:
        """Run until the program ends."""
        # The import takes up to 0.3 s of the processor, for which the first notice must not wait.
        from accounts.common import http_client  # noqa: F401, PLC0415 only to load it

        logs.configure(settings.LOGGING)
        # The server process gets these signals, too. This process ends after the server process.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._end_with_input, daemon=True).start()
        log.info("This process sends logout notices")
        self._loop.run()

    def _end_with_input(self) -> None:
        # ``sys.stdin`` would hold a lock that the end of the interpreter waits for.
        os.read(0, 1)
        self._loop.stopping.set()

    def _work(self) -> float:
        is_busy = self._sender.send_due()
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._sender.outcomes["given_up"] += give_up()
            self._report()
            if not is_needed():
                self._loop.stopping.set()
        return SETTLE_SECONDS if is_busy else LOOK_EVERY_SECONDS

    def _finish(self) -> None:
        self._sender.finish()
        self._report()

    def _report(self) -> None:
        count, age = NOTICES.waiting()
        line = json.dumps([count, age, self._sender.outcomes])
        self._sender.outcomes.clear()
        with suppress(OSError):  # the server process was killed
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
