"""Tells apps that their sessions have ended (OpenID Connect Back-Channel Logout 1.0).

A notice is a row, written in the transaction that ends the session. Sender threads lease the rows
that are due, and send each notice at least once: twice if a process is killed, or loses its lease,
between sending a notice and deleting its row. Apps see no difference, because a session ends once.

Each app has a thread of its own, so that an app that hangs delays only its own notices.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    UUIDField,
    Value,
)
from django.db.models.functions import Coalesce

from accounts.common import clock, metrics, secrets
from accounts.common.deletion import delete_in_batches
from accounts.oauth import id_tokens, logout_tokens
from accounts.oauth.models import Client
from accounts.oauth.stored import LogoutNotice
from accounts.sessions.models import LoginSession

log = logging.getLogger(__name__)

# How many apps one process sends to at once, and how many notices an app gets in a row.
MOST_APPS, BATCH = 32, 20
# The seconds for one notice, name lookup included, and for all notices of a batch.
SECONDS, BATCH_SECONDS = 3.0, 20.0
# Longer than a batch takes, unless a name server hangs.
LEASE = timedelta(minutes=1)
# The pause between the beginnings of two batches. All threads share one interpreter, so a request
# would otherwise wait for each of them.
BETWEEN_SECONDS = 0.02
# The seconds without notices to an app after it has failed.
REST_SECONDS = 5.0
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP = timedelta(days=1)
# In bytes. The body of the answer is not evaluated.
LONGEST_ANSWER = 10_000
# Section 2.8: apps must answer 200, but some frameworks answer 204 instead.
DONE = {200, 204}


def post(rows: QuerySet[LoginSession]) -> None:
    """Write a notice for each of the sessions ``rows`` whose app has a back-channel logout URI.

    Call this in the transaction that ends the sessions.
    """
    now = Value(clock.now(), output_field=DateTimeField())
    told = rows.exclude(client=None).exclude(client__backchannel_logout_uri="").order_by()
    subject = Coalesce("pairwise_subject", "user_id", output_field=UUIDField())
    values = told.values_list("pk", "client", subject, now, now)
    text, parameters = values.query.sql_with_params()
    columns = "session_id, client_id, user_id, created_at, due_at"
    table = LogoutNotice._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) {text} ON CONFLICT DO NOTHING",
            parameters,
        )


def prune() -> int:
    """Delete notices that are so old that a sender would give them up; return how many."""
    old = LogoutNotice.objects.filter(created_at__lte=clock.now() - GIVE_UP - LONGEST_WAIT)
    return delete_in_batches(old)


@dataclass
class Sender:
    """Sends the notices that are due, to several apps at once.

    Call all its methods in the same thread. The threads that send do not use the database.
    """

    is_stopping: Callable[[], bool] = bool
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MOST_APPS, "logout notices")
    )
    _under_way: dict["Future[list[str]]", list[LogoutNotice]] = field(default_factory=dict)
    # For each app that has failed: the time of the monotonic clock until which it gets no notices.
    _resting: dict[str, float] = field(default_factory=dict)

    def send_due(self) -> bool:
        """Start to send the notices that are due, and record the results of earlier ones.

        Return whether any notice is still being sent.
        """
        self._settle_done()
        if count_waiting():
            self._begin()
        return bool(self._under_way)

    def wait(self, seconds: float) -> None:
        """Wait until no notice is being sent, but at most for ``seconds``."""
        wait(self._under_way, seconds)

    def finish(self) -> None:
        """Start no more batches, wait for those that are being sent, and record their results."""
        self._threads.shutdown(cancel_futures=True)
        self._settle_done()

    def _begin(self) -> None:
        now = time.monotonic()
        self._resting = {app: until for app, until in self._resting.items() if until > now}
        busy = {notices[0].client_id for notices in self._under_way.values()}
        claimed = _claim(busy | self._resting.keys(), MOST_APPS - len(busy))
        if not claimed:
            return
        id_tokens.be_ready()
        for client, group in groupby(claimed, lambda notice: notice.client):
            notices = list(group)
            tokens = [logout_tokens.issue(n.session_id, n.subject, n.client_id) for n in notices]
            future = self._threads.submit(_send_all, client, tokens, self.is_stopping)
            self._under_way[future] = notices
            time.sleep(BETWEEN_SECONDS)

    def _settle_done(self) -> None:
        done = [future for future in self._under_way if future.done()]
        if not done:
            return
        # One transaction: SQLite lets one process write at a time, and requests write, too.
        with transaction.atomic():
            for future in done:
                notices = self._under_way.pop(future)
                failures = [] if future.cancelled() else future.result()
                if _settle(notices, failures):
                    self._resting[notices[0].client_id] = time.monotonic() + REST_SECONDS


def count_waiting() -> int:
    """Return the number of notices that are not sent yet, and set the metrics."""
    found = LogoutNotice.objects.aggregate(count=Count("pk"), oldest=Min("created_at"))
    now = clock.now()
    age = (now - (found["oldest"] or now)).total_seconds()
    metrics.LOGOUT_NOTICES_WAITING.set(found["count"])
    metrics.LOGOUT_NOTICES_OLDEST.set(max(0.0, age))
    return int(found["count"])


def _claim(busy: set[str], most: int) -> Sequence[LogoutNotice]:
    """Lease notices that are due, to at most ``most`` apps that are not ``busy``."""
    now = clock.now()
    # No notice waits longer than ``LONGEST_WAIT``. If one seems to, the clock has been set back.
    due = LogoutNotice.objects.filter(Q(due_at__gt=now + LONGEST_WAIT) | Q(due_at__lte=now))
    waiting = Client.objects.filter(Exists(due.filter(client=OuterRef("pk"))))
    apps = waiting.exclude(pk__in=busy).values_list("pk", flat=True)[:most]
    firsts = [Q(pk__in=_pks(due.filter(client=app).order_by("due_at")[:BATCH])) for app in apps]
    if not firsts:
        return ()
    lease = secrets.public_id()
    changes = {"lease": lease, "due_at": now + LEASE, "attempts": F("attempts") + 1}
    due.filter(reduce(or_, firsts)).update(**changes)
    mine = LogoutNotice.objects.filter(lease=lease).select_related("client")
    return list(mine.order_by("client", "created_at"))


def _pks(rows: QuerySet[LogoutNotice]) -> Any:
    return rows.values("pk")


def _send_all(client: Client, tokens: list[str], is_stopping: Callable[[], bool]) -> list[str]:
    """Send the tokens until one fails; return a text for each that was tried.

    The text names the failure, and is empty if the app has accepted the token.
    """
    failures: list[str] = []
    end = time.monotonic() + BATCH_SECONDS
    while len(failures) < len(tokens) and not any(failures):
        if is_stopping() or time.monotonic() > end:
            break
        failures.append(_send(client, tokens[len(failures)]))
    return failures


def _send(client: Client, token: str) -> str:
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    # A member of staff may have removed the URI meanwhile.
    if not client.backchannel_logout_uri:
        return ""
    try:
        with http_client.limited(
            SECONDS, LONGEST_ANSWER, takes_private=client.backchannel_logout_is_private
        ) as session:
            answer = session.post(client.backchannel_logout_uri, {"logout_token": token})
    except Exception as error:  # whatever a server answers, the other notices must be sent
        return type(error).__name__
    return "" if answer.status_code in DONE else f"status {answer.status_code}"


def _settle(notices: list[LogoutNotice], failures: list[str]) -> bool:
    """Record which of the leased ``notices`` to an app were sent; return whether one failed.

    ``failures``: the result of :func:`_send_all`. Notices that were not tried are due at once.
    """
    tried = list(zip(notices, failures, strict=False))
    sent = [notice.pk for notice, failure in tried if not failure]
    LogoutNotice.objects.filter(pk__in=sent).delete()
    metrics.LOGOUT_NOTICES.labels("sent").inc(len(sent))
    for notice, failure in tried[-1:]:
        if failure:
            _put_off(notice, failure)
    rest = LogoutNotice.objects.filter(
        pk__in=[notice.pk for notice in notices[len(failures) :]], lease=notices[0].lease
    )
    rest.update(due_at=clock.now(), attempts=F("attempts") - 1)
    return any(failures)


def _put_off(notice: LogoutNotice, failure: str) -> None:
    """Schedule the notice again after a growing pause, or delete it after :data:`GIVE_UP`."""
    now = clock.now()
    mine = LogoutNotice.objects.filter(pk=notice.pk, lease=notice.lease)
    if now - notice.created_at > GIVE_UP:
        mine.delete()
        metrics.LOGOUT_NOTICES.labels("given_up").inc()
        log.error("App %s was not told that a session ended: %s", notice.client_id, failure)
        return
    wait = min(FIRST_WAIT * 2 ** min(notice.attempts - 1, 10), LONGEST_WAIT)
    mine.update(due_at=now + wait)
    metrics.LOGOUT_NOTICES.labels("failed").inc()
    log.warning("Logout notice to app %s failed, retry in %s: %s", notice.client_id, wait, failure)
