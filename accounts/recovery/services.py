"""Unlocks accounts, and removes lost second factors, at once or after a waiting period.

``accounts.recovery.rule`` contains the rule. A request to wait is announced by email, and again
every day, to every address of the account that counts, so that the owner can stop it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock, localization
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import PublicError
from accounts.common.localization import writing_to
from accounts.common.pages import absolute
from accounts.common.proofs import Method, Proof
from accounts.mail.message import TO_POSSIBLE_STRANGER, Message, staff_note
from accounts.mail.models import MailReceipt
from accounts.mail.services import post
from accounts.recovery import evidence, rule
from accounts.recovery.models import OPEN, Recovery, pairs
from accounts.recovery.rule import Kind, Opening, Outcome, Ownership, Thing
from accounts.twofactor import services as twofactor
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential, User

_ROW = PreparedQuery(lambda: Recovery.objects.filter(user=P("user")))
_CURRENT = PreparedQuery(lambda: Recovery.current(P("since")).filter(user=P("user")))
LINK = "factor.recovery"
# A daily job posts the notices of a request again after this time.
REMINDER = timedelta(hours=20)
# The fields of a row that has no request.
NO_REQUEST: dict[str, Any] = {"asked": [], "mails": []}
NO_REQUEST |= dict.fromkeys(("asked_at", "warned_at", "told_at"))


class NotDue(PublicError):
    """The proofs are not sufficient to unlock the account now."""

    code = "not_due"
    status = 403
    message = gettext_lazy("You can’t recover your account yet.")


class NotOffered(PublicError):
    """Recovery by waiting is turned off, or not possible for this user or with these proofs."""

    code = "not_offered"
    status = 403
    message = gettext_lazy("You can’t recover your account this way. Contact support for help.")


@dataclass(frozen=True)
class Assessment:
    """How a person can recover an account with the credentials that they have shown.

    ``shown``: the shown credentials that count.
    ``running``: the row with the current request, or None.
    ``others``: the credentials that count and that others have shown to Support; without those that
        ``shown`` includes.
    ``is_at_support``: whether somebody has asked Support to decide with exactly ``shown``.
    """

    ownership: Ownership
    shown: frozenset[Thing]
    running: Recovery | None
    may_wait: bool
    others: tuple[frozenset[Thing], ...] = ()
    is_at_support: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome by the rule."""
        return self.ownership.outcome(self.shown)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of the shown credentials."""
        return rule.kinds(self.shown)

    @property
    def is_due(self) -> bool:
        """Whether the waiting period of the current request has ended."""
        return self.running is not None and self.running.is_due

    @property
    def is_same(self) -> bool:
        """Whether ``shown`` includes every credential that was shown for the current request."""
        return self.running is not None and self.running.covered_by(self.shown)

    @property
    def ends_at(self) -> datetime | None:
        """The time at which the current request expires, or None without a request."""
        return self.running.due_at + OPEN if self.running else None

    @property
    def may_finish(self) -> bool:
        """Whether the account can be unlocked now.

        While Support has a case, only a person who shows more than everybody else can unlock it.
        """
        most = max((len(rule.kinds(shown)) for shown in self.others), default=0)
        may_open = self.outcome is Outcome.OPEN and len(self.kinds) > most
        return may_open or (self.is_due and self.is_same and not self.others)

    @property
    def may_ask_support(self) -> bool:
        """Whether Support can be asked to decide.

        This is so if the shown credentials count but are not sufficient, or if somebody else has
        shown as many.
        """
        is_stuck = not (self.may_ask or self.is_same)
        return bool(self.shown) and bool(is_stuck or self.others) and not self.may_finish

    @property
    def may_stop(self) -> bool:
        """Whether the current request can be stopped.

        A person who could unlock the account at once can stop it. If the account is not locked, the
        second factor is also sufficient, because the request is about a lost factor.
        """
        has_factor = self.ownership.lock is None and Kind.FACTOR in self.kinds
        may_stop = has_factor or self.outcome is Outcome.OPEN or self._outweighs
        return self.running is not None and may_stop

    @property
    def may_ask(self) -> bool:
        """Whether a waiting period can begin."""
        is_free = self.running is None or self._outweighs
        return self.may_wait and self.outcome is Outcome.WAIT and is_free

    @property
    def step(self) -> str:
        """The next step before the account can be unlocked: a section of ``lost.html``."""
        steps = {
            "finish": self.is_due and self.is_same,
            "come_back": self.is_same and not self.may_stop,
            "stop": self.may_stop,
            "ask": self.may_ask,
            "show_more": self.running is not None,
        }
        return next((step for step, is_next in steps.items() if is_next), "support")

    @property
    def wait_hours(self) -> int:
        """The length of the waiting period in hours."""
        return settings.AUTHSITE.factor_recovery_hours

    @property
    def wait_days(self) -> int:
        """The length of the waiting period in days; 0 if it is not a whole number of days."""
        return 0 if self.wait_hours % 24 else self.wait_hours // 24

    @property
    def wait_ends_at(self) -> datetime:
        """When a waiting period that begins now could end."""
        return clock.now() + Recovery.wait()

    @property
    def _outweighs(self) -> bool:
        # A request always includes a mailbox, so nobody can show more without one.
        return self.running is not None and rule.outweighs(self.kinds, self.running.asked_kinds)


def is_offered(user: User) -> bool:
    """Return whether ``user`` may recover the account by waiting."""
    # Without an address that counts, nobody could be warned of the request.
    can_be_told = (
        user.email or former_credentials.removed(user, FormerCredential.Kind.EMAIL).exists()
    )
    return bool(Recovery.wait() > timedelta() and can_be_told and not user.is_privileged)


def find_row(user: User) -> Recovery | None:
    """Return the row of requests and cases at Support of ``user``, or None."""
    return _ROW.first(user=user.pk)


def find_current(user: User) -> Recovery | None:
    """Return the row of the current request of ``user``, or None; see also :func:`running`."""
    return _CURRENT.first(user=user.pk, since=Recovery.since())


def running(user: User) -> Recovery | None:
    """Return the row with the current request of ``user``, or None.

    A request is current during its waiting period and for seven days afterwards. It is ignored if a
    credential that was shown for it no longer counts because of a later lock.
    """
    if not is_offered(user):
        return None
    found = find_current(user)
    return found if found and _counts(found, ownership_of(user, found)) else None


def ownership_of(user: User, row: Recovery | None) -> Ownership:
    """Return the facts about ``user`` for the rule. ``row``: the row of ``user``, if any."""
    return evidence.ownership_of(user, row.opening if row else None)


def _counts(found: Recovery, ownership: Ownership) -> bool:
    """Return whether all credentials of the request count; begin its wait if a notice was sent."""
    if not found.covered_by(ownership.counting):
        return False
    if found.warned_at is None:
        _note_accepted(found)
    return True


def _note_accepted(found: Recovery) -> None:
    """Begin the waiting period if a mail server has accepted one of the notices."""
    accepted = MailReceipt.objects.filter(pk__in=found.mails, failure="").order_by("done_at")
    if first := accepted.first():
        found.warned_at = first.done_at
        rows = Recovery.objects.filter(pk=found.pk, asked_at=found.asked_at, warned_at=None)
        rows.update(warned_at=first.done_at)


def assess(user: User, *proofs: Proof) -> Assessment:
    """Return how a person who has shown ``proofs`` can recover the account of ``user``."""
    row, can_wait = Recovery.objects.filter(user=user).first(), is_offered(user)
    ownership = ownership_of(user, row)
    is_running = row is not None and row.is_current and can_wait and _counts(row, ownership)
    found = row if is_running else None
    shown = evidence.shown_by(ownership, proofs)
    is_refused = row is not None and row.refuses(rule.kinds(shown)) and _still_stops(row, ownership)
    cases = [things_of(ownership, asked) for asked in row.cases] if row else []
    others = tuple(each for each in cases if not each <= shown)
    may_wait = can_wait and not is_refused and not others
    is_at_support = bool(shown) and shown in cases
    return Assessment(ownership, shown, found, may_wait, others, is_at_support)


def _still_stops(row: Recovery, ownership: Ownership) -> bool:
    """Return whether the credentials that stopped the last request still count.

    A thief may have stopped the request with a factor that a lock has suspended since.
    """
    if ownership.lock is None or row.stopped_by is None:
        return True
    by = things_of(ownership, row.stopped_by)
    kinds = rule.kinds(by)
    is_more = rule.outweighs(kinds, frozenset(map(Kind, row.stopped)))
    return Kind.FACTOR in kinds or is_more or ownership.outcome(by) is Outcome.OPEN


def things_of(ownership: Ownership, stored: list[list[str]]) -> frozenset[Thing]:
    """Return the credentials that count and are in ``stored``, each as ``[kind, key]``."""
    shown = pairs(stored)
    return frozenset(thing for thing in ownership.counting if (thing.kind, thing.key) in shown)


def ask_support(user: User, *proofs: Proof, actor: Actor) -> None:
    """Ask Support to decide who owns the account of ``user``. Every address is notified.

    Raises:
        NotOffered: no proof counts, or the account can be unlocked without Support.
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        found = assess(owner, *proofs)
        if not found.may_ask_support:
            raise NotOffered
        row = Recovery.lock(owner)
        shown = _stored(found.shown)
        if shown not in row.cases:
            row.at_support, row.support_asked_at = [*row.cases, shown], clock.now()
            row.save(update_fields=["at_support", "support_asked_at"])
            record(owner, events.SUPPORT_ASKED, actor)


def ask(user: User, *proofs: Proof, actor: Actor) -> None:
    """Begin a waiting period. Every address that counts is notified by email.

    Nothing happens if the same request is already current.

    Raises:
        NotOffered: the user or the proofs do not allow recovery by waiting.
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        found = assess(owner, *proofs)
        if not (found.may_ask or found.is_same):
            raise NotOffered
        if not found.may_ask:
            return
        stop(found.running, found.shown)
        row = Recovery.lock(owner)
        row.asked = _stored(found.shown)
        row.asked_at, row.warned_at = clock.now(), None
        row.mails = _tell(owner, row, found.ownership, actor)
        row.told_at = row.asked_at
        row.save()
        record(owner, events.RECOVERY_ASKED, actor)


def _stored(shown: frozenset[Thing]) -> list[list[str]]:
    return sorted([thing.kind, thing.key] for thing in shown)


def find_objection(token: str) -> tuple[User, Proof] | None:
    """Return the user of an emailed link to object, with the proof of the mailbox, or None."""
    link = codes.find_link(Purpose(LINK), token)
    user = users.find_by_id(link.subject.split()[0]) if link else None
    if link is None or user is None or running(user) is None:
        return None
    return user, Proof.now(Method.MAIL, link.email)


def cancel(user: User, *proofs: Proof, actor: Actor) -> bool:
    """Stop the current request if ``proofs`` are sufficient; return whether they were."""
    with transaction.atomic():
        # Lock the row, so that nobody else finishes or stops the request at the same time.
        owner = users.lock_row_as_is(user)
        found = assess(owner, *proofs)
        if not found.may_stop:
            return False
        stop(found.running, found.shown)
        record(user, events.RECOVERY_CANCELLED, actor)
    return True


def was_stopped(user: User, *, since: datetime) -> bool:
    """Return whether a request of ``user`` was stopped after the time ``since``."""
    return Recovery.objects.filter(user=user, stopped_at__gt=since).exists()


def stop(row: Recovery | None, shown: frozenset[Thing] | None = None) -> None:
    """Stop a request. For 30 days, only a request with more kinds of credentials can follow.

    ``shown``: the credentials of the person who stops it; None if Support stops it.
    """
    if row is not None:
        by = None if shown is None else _stored(shown)
        stopped = {"stopped": sorted(row.asked_kinds), "stopped_at": clock.now(), "stopped_by": by}
        Recovery.objects.filter(pk=row.pk).update(**stopped)
        forget(row.user)


def check(user: User, *proofs: Proof) -> Assessment:
    """Return the assessment of ``proofs``; require that they unlock the account now.

    The row of ``user`` is locked until the transaction ends.

    Raises:
        NotDue: the proofs are not sufficient, and no waiting period that began with them has
            ended.
        AccountChanged: the account was changed after ``user`` was read from the database.
    """
    found = assess(users.lock_row(user), *proofs)
    if not found.may_finish:
        raise NotDue
    return found


def note_opened(user: User, found: Assessment | None) -> None:
    """Record that the account of ``user`` was unlocked with the credentials in ``found``.

    ``found`` is None if Support has unlocked it. Then only Support can undo it for 30 days.
    """
    now = clock.now()
    opening = found.ownership.opened(now, found.shown) if found else Opening(now, len(Kind))
    if found and found.outcome is Outcome.OPEN:
        stop(found.running, found.shown)
    kept = {"opened_at": opening.at, "opened_with": opening.kinds, "at_support": []}
    Recovery.objects.update_or_create(user=user, defaults=kept)


def remove_factors(user: User, *proofs: Proof, actor: Actor) -> None:
    """Remove all second factors of ``user``, because they are lost, and revoke every session.

    The attribute ``credential_version`` of ``user`` is then loaded again from the database.

    Raises:
        NotOffered: the user is a member of staff, so an operator must remove the factors.
        NotDue, AccountChanged: see :func:`check`.
    """
    if user.is_privileged:
        raise NotOffered
    with transaction.atomic():
        found = check(user, *proofs)
        note_opened(user, found)
        twofactor.remove_all(user, events.FACTORS_RECOVERED, actor)


def forget(user: User) -> None:
    """Delete the request of ``user``, and the links that were sent for it.

    A case at Support remains until the account is unlocked, or nobody has asked for 30 days.
    """
    Recovery.objects.filter(user=user).update(**NO_REQUEST)
    codes.issued(Purpose(LINK), f"{user.pk} ").delete()


def remind() -> int:
    """Post the notices of waiting requests again, once a day; return how many requests wait."""
    told_before = clock.now() - REMINDER
    rows = Recovery.current().filter(told_at__lte=told_before).select_related("user")
    return sum(_remind(row) for row in rows)


@transaction.atomic
def _remind(row: Recovery) -> bool:
    owner = users.lock_row_as_is(row.user)
    found = running(owner)
    if found is None or found.is_due or found.asked_at != row.asked_at:
        return False
    found.mails += _tell(owner, found, ownership_of(owner, found), Actor())
    found.told_at = clock.now()
    found.save(update_fields=["mails", "told_at"])
    return True


@transaction.atomic
def prune() -> int:
    """Delete rows that no longer matter; return how many were deleted."""
    since = clock.now() - rule.MONTH
    times = ("opened_at", "stopped_at", "asked_at", "support_asked_at")
    rows = Recovery.objects.select_for_update(no_key=True)
    rows = rows.exclude(pk__in=Recovery.current().values("pk"))
    for name in times:
        rows = rows.exclude(**{f"{name}__gt": since})
    gone = [row.pk for row in rows if not row.locked_alone_by()]
    return Recovery.objects.filter(pk__in=gone).delete()[0]


def _tell(owner: User, row: Recovery, ownership: Ownership, actor: Actor) -> list[str]:
    """Post the notices of a request; return the ids of the notices to addresses that count."""
    purpose = Purpose(LINK, life=Recovery.wait() + OPEN)
    counting = {thing.key for thing in ownership.counting if thing.kind is Kind.MAILBOX}
    told = {held.email: held.key for held in owner.emails.order_by("pk")}
    formers = former_credentials.notified_emails(owner).exclude(label__in=told)
    strangers = {former.label for former in formers} | {
        email for email, key in told.items() if key not in counting
    }
    told |= {former.label: former.key for former in formers}
    posted = []
    for n, (email, key) in enumerate(told.items()):
        token = codes.issue_link(purpose, f"{owner.pk} {clock.now().timestamp()} {n}", key)
        with writing_to(owner.language, owner.time_zone):
            may_be_strangers = email in strangers
            mail = recovery_message(
                owner, email, token, row.due_at, actor, may_be_strangers=may_be_strangers
            )
            mail_id = post(mail, life=purpose.life)
        if key in counting:
            posted.append(str(mail_id))
    return posted


def recovery_message(
    user: User, email: str, token: str, due_at: datetime, actor: Actor, *, may_be_strangers: bool
) -> Message:
    """Return the email about a recovery that is possible from ``due_at`` on.

    ``token``: the secret of the link to object to the recovery.
    ``may_be_strangers``: whether the address may belong to a thief. The email then contains neither
        the device nor the IP address nor the username.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name}
    if user.lock:
        subject = _("Someone asked to unlock your account")
        what = _("Someone asked to set a new password for your locked account.")
    else:
        subject = _("Someone asked to remove your passkeys and authenticator apps")
        what = _("Someone reported your passkeys and apps as lost and asked us to remove them.")
    stop = _("Stop the request. Have your password ready, and your passkey or a code.")
    return Message(
        to=email,
        subject=subject,
        greeting="" if may_be_strangers else _("Hello %(name)s,") % {"name": user.username},
        paragraphs=[
            what,
            _("Nothing will change before the time below. Until then, you can stop the request."),
        ],
        facts=[
            (_("Earliest possible time"), localization.in_full(due_at)),
            *([] if may_be_strangers else _place(actor)),
        ],
        questions=[
            (_("Was this you?"), _("Come back after the wait, and show again that it’s you.")),
            (_("Not you?"), stop),
        ],
        action_label=_("Stop the request"),
        action_url=absolute("recovery_cancel", token),
        reason=TO_POSSIBLE_STRANGER % about,
    )


def _place(actor: Actor) -> list[tuple[str, str]]:
    if actor.name:
        return [(_("Asked by"), _("A member of staff")), *staff_note(actor.reason)]
    ip = actor.client.ip if actor.client else _("unknown")
    return [(_("Device"), str(actor.device)), (_("IP address"), ip)]
