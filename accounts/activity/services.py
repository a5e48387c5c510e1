"""Records, lists and deletes the events of the security history, and writes ``EVENT_LOG``."""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, TextIO

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat, Substr

from accounts.activity import events, notices
from accounts.activity.events import EVENTS, Event, Group
from accounts.activity.models import (
    ABOUT_OTHERS,
    LONGEST_DETAIL,
    OPERATOR,
    RENAMED_TO,
    Activity,
)
from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo, Device
from accounts.common.database import P, PreparedInsert, PreparedQuery, delete_in_batches
from accounts.users.emails import key
from accounts.users.models import EmailAddress, FormerCredential, User
from accounts.users.rights import superusers

# Failed sign-ins to unknown accounts are useful only during an attack.
NOBODYS_LIFE = timedelta(days=30)
# How many events :func:`last_failures` and :func:`last_sign_ins` return.
MOST = 20
# How many events one statement inserts.
AT_ONCE = 1000

_EMAIL_CHANGES = events.names(events.ADDRESS_ADDED, events.ADDRESS_REMOVED, events.PRIMARY_CHANGED)

_INSERT = PreparedInsert(Activity)

# Where ``EVENT_LOG`` is written if it is ``stdout``. The server process sets this to its standard
# output. Commands print their results there, so they write the log to standard error.
stream: TextIO = sys.stderr

# Functions that are called with the events for webhooks, in the transaction of their change.
FOLLOWERS: list[Callable[[Sequence[Activity]], None]] = []


@dataclass(frozen=True)
class Actor:
    """Who causes an event, with which client, in which session, and with which authentication.

    ``proof`` lists ``amr`` values, separated by spaces. ``name`` is the username of a member of
    staff or ``@operator``, and empty if the owner of the account is the actor. ``id`` is the id of
    this member of staff. ``key`` is the label of the API key that was used, if any. ``reason`` is
    why a member of staff causes the event. ``is_announced`` says whether superusers were already
    notified of a bulk act of which this event is a part.
    """

    client: ClientInfo | None = None
    session: uuid.UUID | None = None
    proof: str = ""
    name: str = ""
    id: uuid.UUID | None = None
    key: str = ""
    reason: str = ""
    is_announced: bool = False

    @property
    def device(self) -> Device:
        """The device of the client; an empty device if there is no client."""
        return self.client.device if self.client else Device()

    def by(self, *amr: str) -> "Actor":
        """Return a copy of this actor with the ``amr`` values as its proof."""
        return replace(self, proof=" ".join(amr))

    def as_staff(self, staff: User, reason: str = "") -> "Actor":
        """Return a copy of this actor as the member of staff ``staff``, who gives ``reason``."""
        return replace(self, name=staff.username, id=staff.pk, reason=reason or self.reason)


def record(
    user: User | None,
    event: Event,
    actor: Actor,
    *,
    detail: str = "",
    former: EmailAddress | None = None,
    mail: bool = True,
) -> Activity:
    """Record that ``event`` happened to ``user``, for webhooks and the event log as well.

    The owner is notified if ``event.mail`` is set.

    Call this in the transaction of the change, so that the change and the event are stored
    together. ``former``, an address that was removed, is notified as well.
    Pass ``mail=False`` if the event is part of a change about which the owner is notified anyway.
    """
    row = _row(user.pk if user else None, event, actor, detail)
    _INSERT.run(row)
    transaction.on_commit(metrics.EVENTS.labels(event.name).inc)
    _publish([row])
    if mail and event.mail and user is not None:
        notices.tell(user, row, former)
    return row


def record_many(
    happened: Iterable[tuple[uuid.UUID, Event, str]], actor: Actor
) -> dict[uuid.UUID, list[Activity]]:
    """Record many events in a few statements, and return them by the id of the user.

    No owner is notified.

    ``happened``: the id of the user, the event and its detail, for each event.
    """
    rows = [_row(user_id, event, actor, detail) for user_id, event, detail in happened]
    found: dict[uuid.UUID, list[Activity]] = {}
    for row in Activity.objects.bulk_create(rows, batch_size=AT_ONCE):
        transaction.on_commit(metrics.EVENTS.labels(row.kind).inc)
        found.setdefault(row.user_id, []).append(row)
    _publish(rows)
    return found


def _publish(rows: Sequence[Activity]) -> None:
    if settings.AUTHSITE.event_log:
        # A full disk must not fail the request.
        transaction.on_commit(partial(log_events, rows), robust=True)
    if told := [row for row in rows if row.event.type]:
        for follow in FOLLOWERS:
            follow(told)


def _row(user_id: uuid.UUID | None, event: Event, actor: Actor, detail: str) -> Activity:
    return Activity(
        user_id=user_id,
        kind=event.name,
        ip=actor.client.ip if actor.client else "",
        browser=actor.device.browser,
        system=actor.device.system,
        proof=actor.proof,
        session=actor.session,
        actor=actor.name,
        actor_id=actor.id,
        # An email address, or a provider's name for a user, may be longer than the column.
        detail=detail[:LONGEST_DETAIL],
        key=actor.key,
        reason=actor.reason,
    )


def data_of(row: Activity) -> dict[str, Any]:
    """Return the data of the event ``row`` for webhooks: no name, email address or IP address.

    ``by`` is who caused it: the user, staff, an operator, a directory, or the site itself.
    """
    by = "site" if row.is_by_itself else "user"
    other = "directory" if row.directory else "staff"
    return {
        "id": row.pk,
        "event": row.kind,
        "user": row.detail if row.kind == events.ERASED.name else row.user_id and str(row.user_id),
        "by": {"": by, OPERATOR: "operator"}.get(row.actor, other),
        "actor": row.actor_id and str(row.actor_id),
        "session": row.session and str(row.session),
    }


def timestamp(row: Activity) -> str:
    """Return when ``row`` happened, in UTC (RFC 3339)."""
    return row.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log_events(rows: Iterable[Activity]) -> None:
    """Append a line of JSON for each of ``rows`` to ``EVENT_LOG``.

    Only a failed sign-in has a reason. Reasons that people typed are left out.
    """
    text = "".join(f"{_line(row)}\n" for row in rows)
    if settings.AUTHSITE.event_log == "stdout":
        stream.write(text)
        stream.flush()
        return
    # The file is opened each time, because a program may have rotated it. Appended lines of several
    # processes do not mix if they are short.
    flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
    with os.fdopen(os.open(settings.AUTHSITE.event_log, flags, 0o600), "ab", 0) as file:
        file.write(text.encode())


def _line(row: Activity) -> str:
    is_failure = row.event is events.SIGN_IN_FAILED
    more = {
        "ip": row.ip,
        "browser": row.browser,
        "system": row.system,
        "proof": row.proof,
        "reason": row.detail if is_failure else "",
    }
    # In ASCII, so that no value can end the line or control a terminal.
    return json.dumps({"timestamp": timestamp(row), "type": row.event.type, **data_of(row), **more})


def tell_superusers(user: User, actor: Actor) -> None:
    """Notify every other superuser that the rights or the state of ``user`` have changed.

    If ``actor`` is announced, only record the change, because one email describes the bulk act.
    """
    record_for_superusers(events.STAFF_CHANGED, actor, user.username, but=user)


def record_for_superusers(
    event: Event,
    actor: Actor,
    detail: str,
    but: User | None = None,
    also: Iterable[uuid.UUID | None] = (),
) -> None:
    """Record ``event`` in the history of every superuser except ``but``.

    ``also``: the ids of other users in whose histories the event is recorded.
    """
    others = User.objects.filter(pk__in=[id for id in also if id], is_active=True)
    for user in superusers() | others:
        if user != but:
            record(user, event, actor, detail=detail, mail=not actor.is_announced)


def are_shown() -> Q:
    """Return the condition that an event is shown to the owner of the account."""
    return Q() if settings.AUTHSITE.staff_views_shown == "on" else ~Q(kind__in=events.VIEWS)


def all_of(user: User | P) -> QuerySet[Activity]:
    """Return the events of ``user``, newest first, as staff see them."""
    return Activity.objects.filter(user=user).order_by("-id")


def of(user: User, group: str = "") -> QuerySet[Activity]:
    """Return the events that ``user`` sees, newest first. ``group``: select a group of events."""
    rows = all_of(user).filter(are_shown())
    if group in Group:
        rows = rows.filter(kind__in=[e.name for e in EVENTS.values() if e.group == group])
    return rows


def _last(group: Group, *more: Event) -> PreparedQuery[Activity]:
    kinds = [e.name for e in EVENTS.values() if e.group is group or e in more]
    return PreparedQuery(lambda: all_of(P("user")).filter(kind__in=kinds)[:MOST])


_FAILURES, _SIGN_INS = _last(Group.FAILURE), _last(Group.SIGN_IN, events.ALL_ENDED)


def last_failures(user: User) -> list[Activity]:
    """Return the last 20 events of ``user`` that are failed attempts, newest first."""
    return _FAILURES.all(user=user.pk)


def last_sign_ins(user: User) -> list[Activity]:
    """Return the last 20 sign-ins of ``user``, and ends of sessions, newest first."""
    return _SIGN_INS.all(user=user.pk)


def has_happened(user: User, event: Event, since: datetime, detail: str = "") -> bool:
    """Return whether ``event`` has happened to ``user`` after ``since``, with ``detail`` if any."""
    rows = Activity.objects.filter(user=user, kind=event.name, at__gt=since)
    return (rows.filter(detail=detail) if detail else rows).exists()


def record_once_an_hour(user: User, event: Event, actor: Actor, detail: str) -> None:
    """Record ``event`` with ``detail``, unless it has happened to ``user`` in the last hour.

    Call this for events that a program, or a person who reloads a page, may repeat without end.
    """
    if not has_happened(user, event, clock.now() - timedelta(hours=1), detail[:LONGEST_DETAIL]):
        with transaction.atomic():
            record(user, event, actor, detail=detail)


def is_named(user: User) -> bool:
    """Return whether the events of others name ``user`` as a member of staff."""
    return user.is_privileged or Activity.objects.filter(actor=user.username).exists()


def remove_names(user: User) -> None:
    """Replace the names and email addresses of ``user`` in the events of other people.

    Call this when the account is deleted. ``@`` and the id of the account replace the names, so
    that acts of a member of staff remain attributable. The reasons that staff gave for acts on
    ``user`` are removed.
    """
    # The model's query set refuses updates of stored events. This is the only exception.
    others: QuerySet[Activity] = QuerySet(Activity).exclude(user=user)
    mark = f"@{user.pk}"
    about = others.filter(kind__in=ABOUT_OTHERS)
    for name, while_named in _names(user):
        others.filter(while_named, actor=name).exclude(actor="").update(actor=mark)
        about.filter(while_named, detail=name).update(detail=mark, reason="")
        rest = Substr("detail", len(name) + 1)
        acts = about.filter(while_named, kind=events.STAFF_ACTED.name)
        acts.filter(detail__startswith=f"{name}: ").update(
            detail=Concat(Value(mark), rest, output_field=CharField()), reason=""
        )
    for email in _emails(user):
        about.filter(detail__iexact=email[:LONGEST_DETAIL]).update(detail=mark, reason="")


def _names(user: User) -> Iterator[tuple[str, Q]]:
    """Return each username of ``user``, with a condition for the time in which it was theirs.

    Another person may have taken a former name.
    """
    name, until = user.username, Q()
    for row in of(user).filter(kind=events.RENAMED.name):
        yield name, until & Q(at__gte=row.at)
        name, until = row.detail.partition(RENAMED_TO)[0], Q(at__lte=row.at)
    yield name, until


def _emails(user: User) -> list[str]:
    """Return the email addresses that ``user`` has or had, unless another account has them now.

    Unconfirmed addresses are left out, because anybody can add the address of another person.
    """
    changes = of(user).filter(kind__in=_EMAIL_CHANGES)
    former = user.former_credentials.filter(kind=FormerCredential.Kind.EMAIL)
    rows = (
        user.emails.values_list("email", flat=True),
        former.values_list("label", flat=True),
        changes.values_list("detail", flat=True),
    )
    keys = {key(email): email for email in chain.from_iterable(rows)}
    others = EmailAddress.objects.exclude(user=user).filter(key__in=keys)
    taken = set(others.values_list("key", flat=True))
    return [email for folded, email in keys.items() if folded not in taken]


def prune() -> int:
    """Delete events older than ``ACTIVITY_DAYS``; return how many were deleted.

    Failed sign-ins to unknown accounts are deleted after 30 days.
    """
    now = clock.now()
    old = Activity.objects.filter(at__lte=now - timedelta(days=settings.AUTHSITE.activity_days))
    nobodys = Activity.objects.filter(user=None, at__lte=now - NOBODYS_LIFE)
    return delete_in_batches(old) + delete_in_batches(nobodys)
