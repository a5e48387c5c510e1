"""Bulk acts: the acts of staff on many people, one person after the other.

When staff select people, the bulk act and its people are stored. Each request of its page then acts
on a batch of them, each in its own transaction, which also stores the outcome. Therefore a restart
loses nothing, and nobody is acted on twice. The rights of the member of staff are checked again for
each person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from accounts.activity.services import Actor
from accounts.administration import acts, person, roles
from accounts.administration.models import BulkAct, BulkPerson
from accounts.administration.roles import (
    AlreadyDone,
    ChangedMeanwhile,
    NotAllowedOnStaff,
    NotInRole,
    OwnAccount,
)
from accounts.common import clock
from accounts.common.database import delete_in_batches
from accounts.common.errors import PublicError
from accounts.exports.words import one_of
from accounts.mail.services import mass_mail
from accounts.sessions import services as sessions
from accounts.users.models import User
from accounts.users.rights import ACTING, role_of

# The maximum number of people in a bulk act, and how many of them one request acts on.
MOST = 5000
BATCH = 50
LIFE = timedelta(days=30)
UNSTARTED_LIFE = timedelta(days=1)
# Superusers are notified if more people are concerned in a day. All bulk acts of the day are added
# up, so that splitting one does not avoid the email.
UNNOTICED = acts.UNNOTICED
DAY = timedelta(days=1)

DONE = "done"
OWN = "own_account"
OUTCOMES: dict[str, str | Promise] = {
    DONE: _("Done"),
    ChangedMeanwhile.code: ChangedMeanwhile.message,
    NotAllowedOnStaff.code: NotAllowedOnStaff.message,
    OWN: OwnAccount.message,
}
BY_HAND = "by_hand"
STOPS: dict[str, str | Promise] = {
    BY_HAND: _("You stopped the action."),
    NotInRole.code: _("The action was stopped because your role no longer includes it."),
}


@dataclass(frozen=True)
class BulkKind:
    """A kind of bulk act.

    ``label``: its name in the list of people.
    ``concerns``: returns the users on whom the act would change something.
    ``idle``: the reason, shown to staff, why the act changes nothing for the other users.
    ``done``: what it has done, with ``%(n)s`` for the number of people.
    ``undo``: the name of the kind that undoes it; empty if there is none.
    """

    label: str | Promise
    concerns: Callable[[QuerySet[User]], QuerySet[User]]
    idle: str | Promise
    done: str | Promise
    undo: str = ""


KINDS = {
    "deactivate": BulkKind(
        _("Deactivate the accounts"),
        lambda users: users.filter(is_active=True),
        _("Already deactivated"),
        ngettext_lazy("%(n)s account deactivated", "%(n)s accounts deactivated", "n"),
        undo="reactivate",
    ),
    "reactivate": BulkKind(
        _("Reactivate the accounts"),
        lambda users: users.filter(is_active=False),
        _("Already active"),
        ngettext_lazy("%(n)s account reactivated", "%(n)s accounts reactivated", "n"),
    ),
    "delete": BulkKind(
        _("Delete the accounts"),
        lambda users: users.filter(deletion_due=None),
        _("Already to be deleted"),
        ngettext_lazy("%(n)s account will be deleted", "%(n)s accounts will be deleted", "n"),
        undo="undo-deletion",
    ),
    "undo-deletion": BulkKind(
        _("Undo the deletions"),
        lambda users: users.filter(deletion_due__isnull=False),
        _("Not to be deleted"),
        ngettext_lazy("%(n)s deletion undone", "%(n)s deletions undone", "n"),
    ),
    "end-sessions": BulkKind(
        _("Sign out sessions"),
        sessions.signed_in,
        _("Not signed in anywhere"),
        ngettext_lazy("%(n)s person signed out", "%(n)s people signed out", "n"),
    ),
}
WORDS = {
    "administration.BulkAct.act": one_of({name: kind.label for name, kind in KINDS.items()}),
    "administration.BulkAct.stopped": one_of(STOPS),
    "outcome": one_of(OUTCOMES),
}


class NobodyToActOn(PublicError):
    """No people were selected, or too many."""

    code = "invalid_target"
    message = _("Choose between 1 and 5,000 people.")


def prepare(name: str, staff: User, actor: Actor, people: QuerySet[User]) -> BulkAct:
    """Store the people whom the act ``name`` will concern, and why others are excluded.

    The act begins with :func:`start`.

    Raises:
        NotInRole: ``staff`` may not act on anybody.
        NobodyToActOn: there are no people, or too many.
        RateLimited: ``staff`` was shown too many people: see :func:`person.record_shown`.
    """
    if role_of(staff) not in ACTING:
        raise NotInRole
    chosen = list(people.values_list("pk", flat=True)[: MOST + 1])
    if not 1 <= len(chosen) <= MOST:
        raise NobodyToActOn
    person.record_shown(staff, actor, len(chosen))
    with transaction.atomic():
        bulk = BulkAct.objects.create(staff=staff, act=name)
        BulkPerson.objects.bulk_create(BulkPerson(bulk=bulk, user_id=pk) for pk in set(chosen))
        users = User.objects.filter(pk__in=bulk.people.values("user"))
        _leave_out(bulk, OWN, users.filter(pk=staff.pk))
        _leave_out(bulk, NotAllowedOnStaff.code, roles.out_of_reach(staff, users))
        concerned = KINDS[name].concerns(users).values("pk")
        _leave_out(bulk, AlreadyDone.code, users.exclude(pk__in=concerned))
    return bulk


def find_bulk_act(staff: User, **which: object) -> BulkAct | None:
    """Return the bulk act of ``staff`` that matches, or None. Staff see only their own."""
    return BulkAct.objects.filter(staff=staff, act__in=KINDS, **which).first()


def unfinished(staff: User) -> QuerySet[BulkAct]:
    """Return the bulk acts of ``staff`` that were started and have not ended."""
    rows = BulkAct.objects.filter(staff=staff, act__in=KINDS, ended_at=None)
    return rows.exclude(started_at=None).order_by("-created_at")


def start(bulk: BulkAct, reason: str, actor: Actor) -> None:
    """Start the bulk act with ``reason``, unless it was started before."""
    waiting = BulkAct.objects.filter(pk=bulk.pk, started_at=None)
    with transaction.atomic():
        if waiting.update(started_at=clock.now(), reason=reason):
            _tell_superusers(bulk, actor.as_staff(bulk.staff, reason))
    bulk.refresh_from_db()


def _tell_superusers(bulk: BulkAct, actor: Actor) -> None:
    """Notify the other superusers if today's bulk acts of the same person concern many people."""
    of_today = BulkPerson.objects.filter(
        outcome__in=("", DONE), bulk__staff=bulk.staff, bulk__started_at__gt=clock.now() - DAY
    )
    if of_today.count() <= UNNOTICED:
        return
    number = bulk.people.filter(outcome="").count()
    acts.tell_of_many(bulk.staff, actor, KINDS[bulk.act].label, number)


def stop(bulk: BulkAct, why: str) -> None:
    """Stop the bulk act after the current person. ``why``: a key of ``STOPS``."""
    BulkAct.objects.filter(pk=bulk.pk, ended_at=None).update(ended_at=clock.now(), stopped=why)


def work(bulk: BulkAct, staff: User, actor: Actor) -> None:
    """Act on the next batch of people, and end the bulk act after the last person.

    ``actor``: the client and the session of ``staff`` now.
    """
    for row in bulk.people.filter(outcome="").order_by("pk").select_related("user")[:BATCH]:
        if not BulkAct.objects.filter(pk=bulk.pk, ended_at=None).exclude(started_at=None).exists():
            return
        _perform_on(row, bulk, staff, actor)
    if not bulk.people.filter(outcome="").exists():
        stop(bulk, "")


def outcomes(bulk: BulkAct) -> dict[str, str | Promise]:
    """Return the sentence for each outcome of ``bulk``."""
    return OUTCOMES | {AlreadyDone.code: KINDS[bulk.act].idle}


def prune() -> int:
    """Delete bulk acts after 30 days, or after a day if never started; return their number.

    Their people are deleted first, in short transactions.
    """
    now = clock.now()
    is_over = Q(created_at__lte=now - LIFE)
    is_over |= Q(created_at__lte=now - UNSTARTED_LIFE, started_at=None)
    over = BulkAct.objects.filter(is_over)
    delete_in_batches(BulkPerson.objects.filter(bulk__in=over.values("pk")))
    return over.delete()[0]


def _leave_out(bulk: BulkAct, outcome: str, users: QuerySet[User]) -> None:
    bulk.people.filter(outcome="", user__in=users.values("pk")).update(outcome=outcome)


def _perform_on(row: BulkPerson, bulk: BulkAct, staff: User, actor: Actor) -> None:
    """Do the act with one person, unless another request has done it, and store the outcome."""
    waiting = BulkPerson.objects.filter(pk=row.pk, outcome="")
    try:
        with transaction.atomic(), mass_mail(bulk.pk):
            # If two requests reach this row, the second waits for the first and then finds no row
            # to update.
            if waiting.update(outcome=DONE):
                acts.perform(
                    *(bulk.act, staff, actor, row.user),
                    reason=bulk.reason,
                    is_limited=False,
                    is_single=False,
                )
    except NotInRole as error:
        stop(bulk, error.code)
    except PublicError as error:
        is_known = error.code in outcomes(bulk)
        waiting.update(outcome=error.code if is_known else ChangedMeanwhile.code)
