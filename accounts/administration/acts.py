"""The acts of staff: what support staff can do with the accounts of others.

Each act calls the same service as the owner's pages, and needs a reason. The actor and the reason
are recorded in the history of the account and in the history of the member of staff. The owner of
the account gets an email with the reason.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from math import ceil

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record, record_for_superusers, tell_superusers
from accounts.administration import roles, steps
from accounts.administration.person import Account, Facts
from accounts.administration.roles import (
    AlreadyDone,
    ChangedMeanwhile,
    JustCleared,
    JustSent,
    NoMode,
    NotInRole,
    UnknownTarget,
)
from accounts.administration.steps import Mode, Order, Target
from accounts.apikeys import services as apikeys
from accounts.codes.services import WrongCode
from accounts.common import clock, localization
from accounts.common.errors import RateLimited
from accounts.deletion import services as deletion
from accounts.emails.services import EmailChangeRefused
from accounts.signup.services import SignupEnded
from accounts.throttle.limits import MAIL_AGAIN, STAFF, STAFF_CLEAR, Limit
from accounts.throttle.services import hit
from accounts.users.emails import masked
from accounts.users.models import PendingSignup, User
from accounts.users.rights import Role, role_of
from accounts.users.services import AccountChanged

PRIMARY = _("Primary address")


@dataclass(frozen=True, eq=False)
class Act:
    """An act: something that staff can do with an account.

    ``name``: the name in URLs.
    ``label``: what the button says.
    ``does``: what the act does, and what stays.
    ``shows``: what the owner of the account will see.
    ``done``: what it has done, with ``%(what)s`` for the target or the email address.
    ``run``: does it.
    ``helps``: the codes of what stops people from signing in, against which the act helps.
    ``targets``: returns what the act can be limited to; nothing if it always concerns everything.
    ``everything``: how a form names the choice without a target; empty if a target is necessary.
    ``is_possible``: returns whether there is something to do; None if there is whenever there is a
        target.
    ``for_signups``: whether the act works for a sign-up that is not confirmed yet.
    ``has_modes``: whether the act can also happen after the waiting period.
    ``limit``: how often all staff together may do the act on one account, and the error that is
        raised beyond that.
    ``is_severe``: whether the owner may lose something.
    ``is_of_superusers``: whether only superusers may do the act, and only in the admin.
    """

    name: str
    label: str | Promise
    does: str | Promise
    shows: str | Promise
    done: str | Promise
    run: Callable[[Order], object]
    helps: tuple[str, ...] = ()
    is_possible: Callable[[Facts], bool] | None = None
    targets: Callable[[Facts], list[Target]] = lambda _facts: []
    everything: str | Promise = ""
    for_signups: bool = False
    has_modes: bool = False
    limit: tuple[Limit, type[RateLimited]] | None = None
    is_severe: bool = False
    is_of_superusers: bool = False

    def includes(self, role: Role | None) -> bool:
        """Return whether members of staff with ``role`` may do the act."""
        return role is Role.SUPERUSER or not self.is_of_superusers

    def check(self, staff: User, account: Account) -> None:
        """Require that ``staff`` may do the act on ``account``.

        Raises:
            NotInRole, NotAllowedOnStaff: see :func:`roles.check`.
        """
        roles.check(staff, account)
        if not self.includes(role_of(staff)):
            raise NotInRole

    def sentence(self, facts: Facts, target: str, mode: str) -> str:
        """Return what the act has done in one sentence. ``facts``: the account before the act."""
        if mode == Mode.WAIT:
            return gettext("The waiting period has begun. All addresses get an email.")
        labels = {choice.value: choice.label for choice in self.targets(facts)}
        if not target and len(labels) == 1 and not self.everything:
            [target] = labels
        is_mail = self.everything in {"", PRIMARY}
        what = labels.get(target) or (facts.account.email if is_mail else str(self.everything))
        return str(self.done) % {"what": masked(what)}

    def suits(self, facts: Facts) -> bool:
        """Return whether the act would change something for the account now."""
        if not (self.for_signups or isinstance(facts.account, User)):
            return False
        return self.is_possible(facts) if self.is_possible else bool(self.targets(facts))


def keys_to_allow(facts: Facts) -> list[Target]:
    """Return a choice for each scope of the staff API that each API key of the user may get."""
    if role_of(facts.user) is None:
        return []
    labels = {
        apikeys.READ: gettext("%(key)s: find and view people"),
        apikeys.ACT: gettext("%(key)s: find, view and act on people"),
    }
    return [
        Target(f"{key.pk} {wanted}", label % {"key": key.label})
        for key in facts.keys
        if not key.is_over
        for wanted, label in labels.items()
        if key.staff_access != apikeys.SCOPES[wanted]
    ]


def allowed_keys(facts: Facts) -> list[Target]:
    """Return the keys of a user that may use the staff API."""
    return [Target(key.pk, key.label) for key in facts.keys if key.staff_access]


def set_access(order: Order) -> None:
    """Give a key access to the staff API, or withdraw the access, as the target says."""
    key_id, _space, wanted = order.target.partition(" ")
    scope = apikeys.SCOPES[wanted] if wanted else frozenset()
    if not apikeys.set_access(order.user, key_id, scope, order.actor):
        raise AlreadyDone
    tell_superusers(order.user, order.actor)


_ALL = (
    Act(
        "confirm-address",
        label=_("Confirm an email address"),
        does=_("Confirms an address without a code. First make sure who owns the address."),
        shows=_("“An email address was added” in their activity, and an email to every address."),
        done=_("The address %(what)s is confirmed."),
        run=steps.confirm_address,
        is_possible=steps.has_pending,
        targets=steps.pending_addresses,
        for_signups=True,
    ),
    Act(
        "send-confirmation",
        label=_("Send the confirmation again"),
        does=_("Emails a new code and link to the address. Earlier codes and links stop working."),
        shows=_("An email with the code and link, and “A new confirmation email was sent”."),
        done=_("Confirmation sent to %(what)s."),
        helps=("not_confirmed", "address_not_confirmed"),
        run=steps.send_confirmation,
        is_possible=steps.has_pending,
        targets=steps.pending_addresses,
        for_signups=True,
    ),
    Act(
        "remove-address",
        label=_("Remove an email address"),
        does=_("They can’t sign in or set a new password with it any more. The primary one stays."),
        shows=_("“An email address was removed”, and an email to every address and to this one."),
        done=_("Removed: %(what)s."),
        run=steps.remove_address,
        targets=steps.secondary_addresses,
        is_severe=True,
    ),
    Act(
        "send-reset",
        label=_("Send a link to set a new password"),
        does=_("Emails a link to an address of the account, never to one that a caller gives you."),
        shows=_("An email with the link, and “A link to set a new password was sent”."),
        done=_("Link sent to %(what)s."),
        helps=("wrong_password",),
        run=steps.send_reset,
        is_possible=steps.has_address,
        targets=steps.addresses,
        everything=PRIMARY,
        limit=(MAIL_AGAIN, JustSent),
    ),
    Act(
        "clear-limits",
        label=_("Reset the limits on sign-in"),
        does=_("The person can try again at once, but an attacker can, too."),
        shows=_("“The limits on sign-in were reset” in their activity. No email."),
        done=_("The limits on sign-in are reset."),
        helps=("attempts_used_up", "codes_used_up"),
        run=steps.clear_limits,
        targets=steps.used_limits,
        everything=_("All limits"),
        limit=(STAFF_CLEAR, JustCleared),
    ),
    Act(
        "end-sessions",
        label=_("Sign out sessions"),
        does=_("Signs them out. Password, second factors and API keys stay."),
        shows=_("The sign-in page on each device, and an email."),
        done=_("Signed out: %(what)s."),
        run=steps.end_sessions,
        targets=steps.sessions_of,
        everything=_("All sessions"),
    ),
    Act(
        "revoke-keys",
        label=_("Remove API keys"),
        does=_("Programs that use these keys stop working. You can’t restore the keys."),
        shows=_("“An API key was revoked” in their activity, and an email."),
        done=_("Removed: %(what)s."),
        run=steps.revoke_keys,
        targets=steps.keys_of,
        everything=_("All API keys"),
        is_severe=True,
    ),
    Act(
        "disconnect-apps",
        label=_("Disconnect apps"),
        does=_("The apps are signed out. They get no data until the person signs in there again."),
        shows=_("“An app was disconnected” in their activity, and an email."),
        done=_("Disconnected: %(what)s."),
        run=steps.disconnect_apps,
        targets=steps.apps_of,
        everything=_("All apps"),
    ),
    Act(
        "disconnect-provider",
        label=_("Disconnect an account at another site"),
        does=_(
            "The person is signed out everywhere and can’t sign in with that account any more. You "
            "can’t disconnect their only way to sign in."
        ),
        shows=_("“An account at another site was disconnected”, and an email to every address."),
        done=_("Disconnected: %(what)s."),
        run=steps.disconnect_provider,
        targets=steps.removable_identities,
        is_severe=True,
    ),
    Act(
        "remove-picture",
        label=_("Remove the profile picture"),
        does=_("The person can upload another picture."),
        shows=_("“The profile was changed” in their activity, and an email."),
        done=_("The profile picture is removed."),
        run=steps.remove_picture,
        is_possible=steps.has_picture,
    ),
    Act(
        "remove-factors",
        label=_("Remove second factors"),
        does=_(
            "Choose “Now” only if you’re certain who is asking, for example because you met them. "
            "Otherwise, choose the waiting period: we email all addresses at once, and the owner "
            "can stop the request. Afterwards, the person sets a new password by email."
        ),
        shows=_("An email to every address. If it happens now, they’re signed out everywhere."),
        done=_("Removed: %(what)s."),
        run=steps.remove_factors,
        targets=steps.factors_of,
        everything=_("All second factors"),
        has_modes=True,
        is_severe=True,
    ),
    Act(
        "lift-lock",
        label=_("Email a link that unlocks the account"),
        does=_(
            "The account stays locked until the person sets a new password with the link. The link "
            "works for one address only. First make sure who is asking: a thief may be the reason "
            "for the lock."
        ),
        shows=_("An email with the link, and a notice to every address."),
        done=_("Link sent to %(what)s."),
        helps=("locked",),
        run=steps.lift_lock,
        is_possible=steps.is_locked,
        targets=steps.addresses,
        everything=PRIMARY,
        limit=(MAIL_AGAIN, JustSent),
        is_severe=True,
    ),
    Act(
        "decide",
        label=_("Decide who owns the account"),
        does=_(
            "Emails a link to the address that you choose. Only this link opens the account. The "
            "request to recover the account ends."
        ),
        shows=_("An email with the link, and a notice to every address."),
        done=_("Link sent to %(what)s. Nobody else can open the account now."),
        helps=("recovery_case",),
        run=steps.decide,
        is_possible=steps.has_case,
        targets=steps.addresses_to_decide,
        limit=(MAIL_AGAIN, JustSent),
        is_severe=True,
    ),
    Act(
        "lock",
        label=_("Lock the account"),
        does=_(
            "Signs everyone out, revokes API keys, and puts aside everything that was added in the "
            "week before the change that you choose, or after it. To open the account, the owner "
            "needs two of these: password, email, second factor."
        ),
        shows=_("“The account was locked” in their activity, and a notice to every address."),
        done=_("The account is locked, and everyone is signed out."),
        run=steps.lock,
        is_possible=lambda facts: facts.user.is_active and not facts.user.is_locked_down,
        targets=steps.changes_of,
        everything=_("None of these, or I’m not sure"),
        limit=(MAIL_AGAIN, JustSent),
        is_severe=True,
    ),
    Act(
        "deactivate",
        label=_("Deactivate the account"),
        does=_(
            "Signs them out everywhere, removes their API keys and blocks sign-in. You can "
            "reactivate the account later."
        ),
        shows=_("An email, and a message when they try to sign in."),
        done=_("The account is deactivated, and everyone is signed out."),
        run=partial(steps.switch, is_active=False),
        is_possible=lambda facts: facts.user.is_active,
        is_severe=True,
    ),
    Act(
        "reactivate",
        label=_("Reactivate the account"),
        does=_("The person can sign in again as before."),
        shows=_("An email."),
        done=_("The account is active again."),
        helps=("switched_off",),
        run=partial(steps.switch, is_active=True),
        is_possible=lambda facts: not facts.user.is_active,
    ),
    Act(
        "delete",
        label=_("Delete the account"),
        does=_(
            "Signs them out everywhere and removes their API keys, apps and rights. You can undo "
            "the deletion for a while. Then the account is deleted."
        ),
        shows=_("An email to every address, with a link to keep the account."),
        done=_("The account will be deleted. Until then, you can undo the deletion."),
        run=lambda order: deletion.request(order.user, order.actor),
        is_possible=lambda facts: facts.user.deletion_due is None,
        is_severe=True,
    ),
    Act(
        "undo-deletion",
        label=_("Undo the deletion"),
        does=_("The person can sign in again. API keys, apps and rights stay removed."),
        shows=_("An email to every address."),
        done=_("The account will not be deleted."),
        helps=("deletion_requested",),
        run=lambda order: deletion.undo(order.user, order.actor),
        is_possible=lambda facts: facts.user.deletion_due is not None,
    ),
    Act(
        "allow-key",
        label=_("Let an API key use the staff API"),
        does=_(
            "A program with the key can then do everything that its owner’s role allows, without a "
            "second factor. This permission ends when the key ends or the owner’s rights change."
        ),
        shows=_("“An API key can now use the staff API” in their activity, and an email."),
        done=_("Allowed: %(what)s."),
        run=set_access,
        targets=keys_to_allow,
        is_severe=True,
        is_of_superusers=True,
    ),
    Act(
        "withdraw-key",
        label=_("Stop an API key from using the staff API"),
        does=_("The key stays and keeps its other rights."),
        shows=_("“An API key can no longer use the staff API” in their activity, and an email."),
        done=_("No longer allowed: %(what)s."),
        run=set_access,
        targets=allowed_keys,
        is_of_superusers=True,
    ),
)
ACTS = {act.name: act for act in _ALL}
# The names of the acts that are also calls of the staff API.
API_ACTS = [act.name for act in _ALL if not act.is_of_superusers]


def acts_for(staff: User, facts: Facts) -> list[Act]:
    """Return the acts that ``staff`` may do with the account and that would change something.

    Raises:
        NotInRole, NotAllowedOnStaff: see :func:`roles.check`.
    """
    roles.check(staff, facts.account)
    role = role_of(staff)
    return [act for act in _ALL if act.includes(role) and act.suits(facts)]


def perform(
    name: str,
    staff: User,
    actor: Actor,
    account: Account,
    *,
    reason: str,
    target: str = "",
    mode: str = Mode.NOW,
    is_limited: bool = True,
    is_single: bool = True,
    check: Callable[[Account], None] | None = None,
) -> None:
    """Do the act ``name`` on ``account`` for ``staff``, and record it in both histories.

    ``actor``: the client and the session of ``staff``.
    ``is_limited``: whether the rate limits of acts count it. ``is_single``: see :func:`note`.
    ``check``: raises an exception if the account, as read under a lock, must not be changed.

    Raises:
        NotInRole, NotAllowedOnStaff: see :func:`roles.check`.
        AlreadyDone: the act would change nothing; another member of staff may have done it.
        ChangedMeanwhile: the account was changed at the same moment.
        UnknownTarget, NoMode: ``target`` or ``mode`` does not fit.
        JustSent, JustCleared, PublicError: the act was done moments ago; the service refuses it.
    """
    act = ACTS[name]
    if is_limited:
        _hit(act, staff, actor, account, target=target, mode=mode)
    by_staff = actor.as_staff(staff, reason)
    try:
        with _refused_as(JustSent), transaction.atomic():
            staff, account = locked(staff, account)
            if check:
                check(account)
            chosen = _check(act, staff, account, target, mode)
            act.run(Order(account, by_staff, chosen, Mode(mode)))
            note(staff, replace(actor, reason=reason), account, act.label, is_single=is_single)
    except (AccountChanged, EmailChangeRefused, SignupEnded, WrongCode):
        raise ChangedMeanwhile from None


# Superusers are notified of an act on more people than this, even if staff act on one at a time.
UNNOTICED = 20
HOUR = timedelta(hours=1)


def note(
    staff: User, actor: Actor, account: Account, what: str | Promise, *, is_single: bool = True
) -> None:
    """Record in the history of ``staff`` that they did ``what`` with ``account``.

    ``is_single``: False for a part of a bulk act: superusers are notified when a bulk act starts.
    """
    record(staff, events.STAFF_ACTED, actor, detail=f"{account.username}: {what}")
    if is_single and not actor.is_announced:
        _tell_if_many(staff, actor.as_staff(staff), what)


def tell_of_many(staff: User, actor: Actor, what: str | Promise, number: int) -> None:
    """Notify the other superusers that ``staff`` does ``what`` with ``number`` people."""
    record_for_superusers(events.BULK_STARTED, actor, f"{what}: {number}", but=staff)


def _tell_if_many(staff: User, actor: Actor, what: str | Promise) -> None:
    """Notify superusers, at most once an hour, if ``staff`` often did ``what`` in the last hour."""
    ends, starts = Q(), Q()
    for language, _name in settings.LANGUAGES:
        with localization.speaking(language):
            ends |= Q(detail__endswith=f": {what}")
            starts |= Q(detail__startswith=f"{what}: ")
    recent = Activity.objects.filter(at__gt=clock.now() - HOUR)
    done = recent.filter(ends, user=staff, kind=events.STAFF_ACTED.name)[: UNNOTICED + 1]
    told = recent.filter(starts, actor_id=staff.pk, kind=events.BULK_STARTED.name)
    if len(done) > UNNOTICED and not told.exists():
        tell_of_many(staff, actor, what, len(done))


# The factor by which API keys may do more acts: 10,000 in an hour.
OF_KEYS = 28
# The number of people in a bulk call that count as one act.
PEOPLE_PER_ACT = 100


def count(staff: User, actor: Actor, people: int = 1) -> None:
    """Count an act of ``staff``, or a bulk call on ``people``, against the rate limits.

    Raises:
        RateLimited: ``staff``, or the API keys of ``staff``, acted too often.
    """
    one = STAFF.times(OF_KEYS).of("key", staff.pk) if actor.key else STAFF.of("act", staff.pk)
    hit(one._replace(cost=one.cost * max(1, ceil(people / PEOPLE_PER_ACT))))


def _hit(act: Act, staff: User, actor: Actor, account: Account, *, target: str, mode: str) -> None:
    # Check before counting, so that an impossible act uses up no limit.
    _check(act, staff, account, target, mode)
    count(staff, actor)
    if act.limit:
        limit, error = act.limit
        with _refused_as(error):
            hit(limit.of(act.name, account.pk))


@contextmanager
def _refused_as(kind: type[RateLimited]) -> Iterator[None]:
    """Return a context manager that raises ``kind`` in place of :class:`RateLimited`."""
    try:
        yield
    except RateLimited as error:
        raise kind(error.retry_after) from None


def locked(staff: User, account: Account) -> tuple[User, Account]:
    """Lock both accounts until the end of the transaction, and return them as read under the lock.

    If two members of staff act at the same time, one waits for the other. Otherwise two superusers
    could deactivate each other. A sign-up is not locked here: its services lock it.

    Raises:
        AlreadyDone: the account was deleted meanwhile.
    """
    pks = [staff.pk, account.pk]
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk")
    found = {row.pk: row for row in rows}
    if isinstance(account, PendingSignup):
        return found[staff.pk], account
    if account.pk not in found:
        raise AlreadyDone
    return found[staff.pk], found[account.pk]


def _check(act: Act, staff: User, account: Account, target: str, mode: str) -> str:
    """Require that the act is allowed and possible, and return its target.

    Raises:
        NotInRole, NotAllowedOnStaff, AlreadyDone, UnknownTarget, NoMode: see :func:`perform`.
    """
    facts = Facts(account)
    act.check(staff, account)
    if not act.suits(facts):
        raise AlreadyDone
    chosen = _chosen(act, facts, target)
    if mode not in Mode or (mode == Mode.WAIT and not (act.has_modes and not target)):
        raise NoMode
    return chosen


def _chosen(act: Act, facts: Facts, target: str) -> str:
    """Return the chosen target; if none was chosen and the act has only one, return that one."""
    offered = [choice.value for choice in act.targets(facts)]
    if not target and not act.everything and len(offered) == 1:
        return offered[0]
    if target not in offered and (target or (offered and not act.everything)):
        raise UnknownTarget
    return target
