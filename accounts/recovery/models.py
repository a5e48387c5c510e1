"""The model of recovery: the last unlocking, a waiting request, and locks by a mailbox alone."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models

from accounts.common import clock
from accounts.common.database import P
from accounts.recovery.rule import MONTH, Kind, Opening, Thing
from accounts.users.models import User

# For this long after its waiting period, a request can be finished.
OPEN = timedelta(days=7)


class Recovery(models.Model):
    """The state of the recovery of one account.

    ``asked``: the credentials that were shown for the waiting request, each as ``[kind, key]``;
        empty without a request. ``asked_at`` is its time, ``mails`` the ids of the notices that
        announced it.
    ``warned_at``: when a mail server accepted the first of these notices. The waiting period begins
        then.
    ``told_at``: when the last notices were posted.
    ``stopped``: the kinds that were shown for the last stopped request.
    ``stopped_by``: the credentials that stopped it, as in ``asked``; None if Support did.
    ``at_support``: the credentials that each person has shown who asked Support to decide, as in
        ``asked``.
    ``support_asked_at``: when somebody last asked Support.
    ``lone_locks``: by the key of a mailbox: when it last locked the account alone.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="recovery",
    )
    opened_at = models.DateTimeField(null=True)
    opened_with = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)
    asked = models.JSONField(default=list)
    mails = models.JSONField(default=list)
    warned_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    stopped = models.JSONField(default=list)
    stopped_by = models.JSONField(null=True)
    at_support = models.JSONField(default=list)
    support_asked_at = models.DateTimeField(null=True)
    lone_locks = models.JSONField(default=dict)

    @classmethod
    def since(cls) -> datetime:
        """Return the earliest time at which the wait of a current request can have begun."""
        return clock.now() - cls.wait() - OPEN

    @classmethod
    def current(cls, since: datetime | P | None = None) -> models.QuerySet[Self]:
        """Return the rows with a request that waits, or whose wait ended in the last week.

        ``since``: by default, :meth:`since`.
        """
        since = since or cls.since()
        is_warned = models.Q(warned_at__gt=since) | models.Q(warned_at=None, asked_at__gt=since)
        return cls.objects.filter(is_warned, asked_at__isnull=False)

    @classmethod
    def disputed_since(cls) -> datetime:
        """Return the earliest time at which Support can have been asked about a current dispute."""
        return clock.now() - MONTH

    @classmethod
    def disputed(cls, since: datetime | P | None = None) -> models.QuerySet[Self]:
        """Return the rows of accounts about which Support must decide.

        ``since``: by default, :meth:`disputed_since`.
        """
        rows = cls.objects.filter(support_asked_at__gt=since or cls.disputed_since())
        return rows.exclude(at_support=[])

    @classmethod
    def lock(cls, user: User) -> Self:
        """Lock and return the row of ``user``, which is created if necessary.

        Without the lock, the daily job could delete the row as outdated while something is added to
        it.
        """
        return cls.objects.select_for_update(no_key=True).get_or_create(user=user)[0]

    @property
    def shown_to_support(self) -> list[list[str]]:
        """For each person who asked Support to decide: the kinds of proofs that were shown."""
        return [sorted({kind for kind, *_ in shown}) for shown in self.cases]

    @property
    def is_current(self) -> bool:
        """Whether a request is current: it waits, or its wait ended in the last week."""
        began = self.warned_at or self.asked_at
        return began is not None and began > self.since()

    @staticmethod
    def wait() -> timedelta:
        """Return the length of the waiting period (``FACTOR_RECOVERY_HOURS``)."""
        return timedelta(hours=settings.AUTHSITE.factor_recovery_hours)

    @property
    def due_at(self) -> datetime:
        """The earliest time at which the request can be finished."""
        return (self.warned_at or clock.now()) + self.wait()

    @property
    def is_due(self) -> bool:
        """Whether a notice was accepted, and the waiting period has ended."""
        return self.due_at <= clock.now()

    @property
    def cases(self) -> list[list[list[str]]]:
        """The proofs that were shown to Support; empty if nobody has asked for 30 days."""
        return self.at_support if _is_recent(self.support_asked_at) else []

    @property
    def opening(self) -> Opening | None:
        """The last unlocking of the account, if it is at most 30 days old."""
        at = self.opened_at
        return Opening(at, self.opened_with) if at and _is_recent(at) else None

    @property
    def asked_kinds(self) -> frozenset[Kind]:
        """The kinds of credentials that were shown for the request."""
        return frozenset(kind for kind, _key in pairs(self.asked))

    def refuses(self, kinds: frozenset[Kind]) -> bool:
        """Return whether ``kinds`` are too few, because a request was stopped within 30 days."""
        return _is_recent(self.stopped_at) and not kinds > frozenset(map(Kind, self.stopped))

    def covered_by(self, shown: frozenset[Thing]) -> bool:
        """Return whether ``shown`` includes every credential that was shown for the request.

        Only then can the request be finished. Otherwise a thief with another mailbox of the account
        could finish a request of the owner.
        """
        keys = {(thing.kind, thing.key) for thing in shown}
        return bool(self.asked) and pairs(self.asked) <= keys

    def locked_alone_by(self) -> set[str]:
        """Return the keys of the mailboxes that locked the account alone in the last 30 days."""
        since = (clock.now() - MONTH).isoformat()
        return {key for key, at in self.lone_locks.items() if at > since}


def _is_recent(at: datetime | None) -> bool:
    return at is not None and clock.now() < at + MONTH


def pairs(stored: Iterable[Sequence[str]]) -> set[tuple[Kind, str]]:
    """Return the kind and key of each credential in ``stored``, without newer members."""
    return {(Kind(kind), key) for kind, key, *_newer in stored}
