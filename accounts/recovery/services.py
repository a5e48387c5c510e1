"""Recovers accounts with proofs from before a dispute, immediately or after a waiting period.

``accounts.users.disputes`` contains the rule. A recovery request is announced by email to every
address that the account has, or has lost since the disputed change, so that the owner can object.
Members of staff cannot recover an account by waiting: an operator, who knows them, must help.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, has_happened, record
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.localization import writing_to
from accounts.common.proofs import Method, Proof
from accounts.mail.services import post
from accounts.recovery import mails
from accounts.recovery.models import OPEN, Recovery
from accounts.throttle.limits import FACTOR_RECOVERY
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.users import disputes, former_credentials
from accounts.users import services as users
from accounts.users.disputes import Evidence, Outcome, Shown
from accounts.users.models import FormerCredential, User

LINK = "factor.recovery"
FACTORS_GONE = (events.FACTOR_REMOVED, events.PASSKEY_REMOVED, events.FACTORS_RECOVERED)


class NotDue(PublicError):
    """The proofs are not enough to recover the account now."""

    code = "not_due"
    status = 403
    message = _("You can’t recover your account yet.")


class NotOffered(PublicError):
    """Recovery by waiting is switched off, or not possible for this user or with these proofs."""

    code = "not_offered"
    status = 403
    message = _("You can’t recover your account this way. Contact support for help.")


@dataclass(frozen=True)
class Assessment:
    """What a user can do to recover the account with ``shown``, the proofs that count.

    ``outcome``: what the proofs allow without a recovery request.
    ``running``: the current recovery request, or None.
    ``requested``: the proofs of the current request that still count.
    ``is_offered``: whether the user may recover the account by waiting.
    """

    shown: Shown
    outcome: Outcome
    running: Recovery | None
    requested: Shown
    is_offered: bool

    @property
    def kinds(self) -> frozenset[Evidence]:
        """The kinds of the proofs that were shown."""
        return disputes.kinds(self.shown)

    @property
    def is_due(self) -> bool:
        """Whether the waiting period of the current request has ended."""
        return self.running is not None and self.running.due_at <= clock.now()

    @property
    def ends_at(self) -> datetime | None:
        """The time at which the current request expires, or None without a request."""
        return self.running.due_at + OPEN if self.running else None

    @property
    def may_finish(self) -> bool:
        """Whether the account can be recovered now."""
        waited = self.is_due and disputes.covers(self.shown, self.requested)
        return self.outcome is Outcome.AT_ONCE or waited

    @property
    def may_ask(self) -> bool:
        """Whether the shown proofs can begin a waiting period, or have begun the current one."""
        return self.is_offered and self.outcome is not Outcome.REFUSED and not self.is_others

    @property
    def may_stop(self) -> bool:
        """Whether the shown proofs are enough to stop the current request."""
        return self.running is not None and disputes.stops(
            self.kinds, disputes.kinds(self.requested)
        )

    @property
    def is_new(self) -> bool:
        """Whether the shown proofs would begin a new waiting period.

        They do if no request is current, or if they outweigh the proofs of the current request.
        """
        return self.running is None or (
            self.may_stop and not disputes.stops(disputes.kinds(self.requested), self.kinds)
        )

    @property
    def is_others(self) -> bool:
        """Whether the current request was made with other proofs, perhaps by a thief."""
        return self.running is not None and not (
            self.is_new or disputes.covers(self.shown, self.requested)
        )


def is_offered(user: User) -> bool:
    """Return whether ``user`` may recover the account by waiting."""
    # Without an address, nobody could be warned of the request.
    can_be_told = bool(user.email) or former_credentials.disputed_emails(user).exists()
    hours = settings.AUTHSITE.factor_recovery_hours
    return hours > 0 and can_be_told and not user.is_privileged


def running(user: User) -> Recovery | None:
    """Return the current recovery request of ``user``, or None.

    A request is current during its waiting period and for seven days afterwards. It is ignored if
    none of its proofs count in the dispute that a later lock has begun.
    """
    if not is_offered(user):
        return None
    found = next(iter(Recovery.current_of(user)), None)
    return found if found and requested(user, found) else None


def requested(user: User, found: Recovery) -> Shown:
    """Return the proofs of the recovery request ``found`` that still count."""
    at = _disputed_at(user, found)
    return frozenset(proof for proof in found.shown if disputes.counts(user, proof.since, at))


def disputed_at(user: User) -> datetime:
    """Return the time of the disputed change.

    If the account is locked, this is the change that the lock disputes. Otherwise, it is the change
    that the recovery request disputes. Without a lock and a request, return the current time.
    """
    return _disputed_at(user, running(user))


def _disputed_at(user: User, found: Recovery | None) -> datetime:
    if user.is_disputed and user.disputed_at:
        return user.disputed_at
    return found.disputed_at if found else clock.now()


def assess(user: User, shown: Shown) -> Assessment:
    """Return what ``user`` can do to recover the account, given the proofs ``shown``."""
    found = running(user)
    outcome = disputes.decide(disputes.kinds(shown), holds_factor=_holds_factor(user))
    proofs = requested(user, found) if found else frozenset()
    return Assessment(shown, outcome, found, proofs, is_offered(user))


def _holds_factor(user: User) -> bool:
    """Return whether ``user`` has a second factor, or had one that a thief may have removed."""
    if twofactor.has_any(user) or former_credentials.suspended(user).filter(kind=_FACTOR).exists():
        return True
    since = disputes.baseline(user, disputed_at(user))
    return user.is_disputed and any(has_happened(user, event, since) for event in FACTORS_GONE)


def ask(user: User, shown: Shown, actor: Actor) -> Recovery:
    """Request a recovery by waiting; return the recovery request.

    The waiting period begins now, and every address is notified by email. If there already is a
    current request, it is returned instead, unless the proofs ``shown`` outweigh its proofs.

    Raises:
        NotOffered: the user or the proofs do not allow recovery by waiting.
        RateLimited: too many requests.
        AccountChanged: the account was changed in the meantime.
    """
    found = assess(user, shown)
    if not found.may_ask:
        raise NotOffered
    if found.running and not found.is_new:
        return found.running
    # Requests are counted for each credential version and each set of evidence, so that a thief
    # cannot use up the owner's requests.
    kinds = " ".join(sorted(found.kinds))
    hit(FACTOR_RECOVERY.of(user.pk, user.credential_version, kinds))
    wait = timedelta(hours=settings.AUTHSITE.factor_recovery_hours)
    with transaction.atomic():
        owner = users.lock_row(user)
        found = assess(owner, shown)
        if not found.may_ask:
            raise NotOffered
        if found.running and not found.is_new:
            return found.running
        now = clock.now()
        asked = Recovery(user=owner, due_at=now + wait)
        asked.disputed_at = (owner.is_disputed and owner.disputed_at) or now
        asked.shown = shown
        asked.save()
        record(owner, events.RECOVERY_ASKED, actor)
        _tell(owner, asked, actor)
    return asked


def find_objection(token: str) -> tuple[User, Proof] | None:
    """Return the user of an emailed objection link and the proof of the mailbox, or None."""
    link = codes.find_link(Purpose(LINK), token)
    user = users.find_by_id(link.subject.split()[0]) if link else None
    if link is None or user is None or running(user) is None:
        return None
    return user, Proof.now(Method.MAIL, link.email)


def cancel(user: User, shown: Shown, actor: Actor) -> bool:
    """Stop the recovery request if the proofs ``shown`` are enough; return whether they were."""
    with transaction.atomic():
        # Lock the row, so that nobody else finishes or stops the request at the same time.
        owner = users.lock_row_as_is(user)
        if not assess(owner, shown).may_stop:
            return False
        delete(user)
        record(user, events.RECOVERY_CANCELLED, actor)
    return True


def check(user: User, shown: Shown) -> None:
    """Require that the proofs ``shown`` allow recovery now, and lock the row of ``user``.

    Raises:
        NotDue: the proofs are not enough yet, or the recovery request was stopped.
        AccountChanged: the account was changed in the meantime.
    """
    if not assess(users.lock_row(user), shown).may_finish:
        raise NotDue


def remove_factors(user: User, shown: Shown, actor: Actor) -> None:
    """Remove all second factors of ``user``, because they are lost, and revoke every session.

    The attribute ``credential_version`` of ``user`` is then loaded again from the database.

    Raises:
        NotOffered: the user is a member of staff, so an operator must remove the factors.
        NotDue, AccountChanged: see :func:`check`.
    """
    if user.is_privileged:
        raise NotOffered
    with transaction.atomic():
        check(user, shown)
        twofactor.remove_all(user, events.FACTORS_RECOVERED, actor)


def delete(user: User) -> None:
    """Delete the recovery request of ``user`` and the links that were sent for it."""
    Recovery.objects.filter(user=user).delete()
    codes.issued(Purpose(LINK), f"{user.pk} ").delete()


def prune() -> int:
    """Delete recovery requests that have expired; return how many were deleted."""
    return Recovery.objects.filter(due_at__lte=clock.now() - OPEN).delete()[0]


_FACTOR = FormerCredential.Kind.FACTOR


def _tell(owner: User, asked: Recovery, actor: Actor) -> None:
    purpose = Purpose(LINK, life=asked.due_at + OPEN - clock.now())
    at = _disputed_at(owner, asked)
    held = {
        row.email: (row.key, not disputes.counts(owner, row.confirmed_at, at))
        for row in owner.emails.order_by("pk")
    }
    before = former_credentials.disputed_emails(owner).exclude(label__in=held)
    told = held | {row.label: (row.key, True) for row in before}
    for n, (email, (key, may_be_strangers)) in enumerate(told.items()):
        token = codes.issue_link(purpose, f"{owner.pk} {n}", key)
        with writing_to(owner.language, owner.time_zone):
            mail = mails.recovery(
                owner, email, token, asked.due_at, actor, may_be_strangers=may_be_strangers
            )
            post(mail, life=purpose.life)
