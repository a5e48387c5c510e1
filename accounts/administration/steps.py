"""The functions that do the acts of staff, and that find the targets of each act."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.services import Actor, record, tell_superusers
from accounts.administration.person import Account, Facts
from accounts.administration.roles import AlreadyDone, CannotWait, FactorNeeded
from accounts.apikeys import services as apikeys
from accounts.common.errors import LastWayIn
from accounts.common.localization import in_full, speaking
from accounts.common.proofs import Method, Proof
from accounts.common.signals import credentials_changed
from accounts.emails import services as emails
from accounts.passwords import changes
from accounts.profile import pictures
from accounts.recovery import locks
from accounts.recovery import services as recovery
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.signup import services as signup
from accounts.social import services as social
from accounts.throttle import services as throttle
from accounts.throttle.limits import WORDS
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import Required
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users import former_credentials
from accounts.users.emails import key as email_key
from accounts.users.models import PendingSignup, User


class Mode(StrEnum):
    """Whether second factors are removed now or after the waiting period."""

    NOW = "now"
    WAIT = "wait"


@dataclass(frozen=True)
class Target:
    """Something to which an act can be limited. ``value`` identifies it, and ``label`` names it."""

    value: str
    label: str


@dataclass(frozen=True)
class Order:
    """The details of an act: the account, the actor, the target and the mode.

    ``target``: the value of a :class:`Target`; empty for everything.
    """

    account: Account
    actor: Actor
    target: str
    mode: Mode

    @property
    def user(self) -> User:
        """The account as a user. Only acts that sign-ups do not have use this."""
        if not isinstance(self.account, User):
            raise AlreadyDone
        return self.account


def has_pending(facts: Facts) -> bool:
    """Return whether an unconfirmed email address could be confirmed: no other account has it."""
    account = facts.account
    if isinstance(account, PendingSignup):
        return not facts.taken
    return account.is_active and bool(pending_addresses(facts))


def pending_addresses(facts: Facts) -> list[Target]:
    """Return the unconfirmed addresses of a user that no other account has."""
    if isinstance(facts.account, PendingSignup):
        return []
    return [Target(str(row.pk), row.email) for row in facts.pending if row.key not in facts.taken]


def confirm_address(order: Order) -> None:
    """Confirm the address of a sign-up, which creates the user, or the added address of a user."""
    if isinstance(order.account, PendingSignup):
        email, user = order.account.email, signup.confirm_by_staff(order.account, order.actor)
    else:
        row = emails.pending(order.account).get(pk=order.target)
        email, user = row.email, order.account
        emails.confirm_by_staff(row, order.actor)
    emails.vouch(user, email)


def send_confirmation(order: Order) -> None:
    """Email a new code and link to confirm an address."""
    if isinstance(order.account, PendingSignup):
        # The language of the person is not known yet, and that of staff may be another.
        with speaking(""):
            signup.send_again(order.account, client=None)
    else:
        emails.send_again(emails.pending(order.account).get(pk=order.target), order.actor)


def has_address(facts: Facts) -> bool:
    """Return whether a link to set a new password can be sent."""
    return facts.user.is_active and bool(facts.user.email)


def addresses(facts: Facts) -> list[Target]:
    """Return the confirmed email addresses of a user."""
    return [Target(row.email, row.email) for row in facts.emails]


def secondary_addresses(facts: Facts) -> list[Target]:
    """Return the confirmed email addresses of a user, without the primary one."""
    rows = facts.emails if facts.user.is_active else []
    return [Target(row.email, row.email) for row in rows if row.email != facts.user.email]


def remove_address(order: Order) -> None:
    """Remove an email address that is not the primary one."""
    row = order.user.emails.get(email=order.target)
    emails.remove(order.user, row.pk, order.actor)


def send_reset(order: Order) -> None:
    """Email a link to set a new password."""
    changes.send_reset_by_staff(order.user, order.target or order.user.email, order.actor)


def is_locked(facts: Facts) -> bool:
    """Return whether the account is locked and a link can be sent."""
    return has_address(facts) and facts.user.is_locked_down


def lift_lock(order: Order) -> None:
    """Email a link that unlocks the account for the reader of one address only."""
    email = order.target or order.user.email
    changes.send_decision(order.user, email, order.actor, events.LOCK_LIFTED)


def has_case(facts: Facts) -> bool:
    """Return whether a request to recover the account or a case at Support is open."""
    row = facts.recovery_row
    return facts.user.is_active and row is not None and bool(row.cases or row.is_current)


def addresses_to_decide(facts: Facts) -> list[Target]:
    """Return the addresses of a user, and the former ones that still receive notices."""
    formers = former_credentials.notified_emails(facts.user) if facts.user.lock else ()
    return addresses(facts) + [Target(row.label, row.label) for row in formers]


def decide(order: Order) -> None:
    """Decide that an address unlocks the account, and close the request and the case."""
    changes.send_decision(order.user, order.target, order.actor, events.SUPPORT_DECIDED)


def changes_of(facts: Facts) -> list[Target]:
    """Return the changes, with their time, that a lock can name as the first wrong one."""
    rows = locks.first_changes(facts.user) if facts.user.is_active else []
    return [Target(str(row.pk), f"{in_full(row.at)}: {row.event.sentence}") for row in rows]


def lock(order: Order) -> None:
    """Lock the account, as its owner can do by the link in a notice."""
    named = (row for row in locks.first_changes(order.user) if str(row.pk) == order.target)
    wrong = next(named, None)
    locks.lock_down(order.user, order.actor, wrong.at if wrong else None)


def used_limits(facts: Facts) -> list[Target]:
    """Return the kinds of attempts whose limits are partly used up for the account."""
    used = {use.kind for use in facts.used}
    return [Target(kind, str(label)) for kind, label in WORDS.items() if kind in used]


def clear_limits(order: Order) -> list[str]:
    """Reset the rate limits of one kind of attempts, or all; return the reset kinds."""
    used = [use for use in Facts(order.user).used if order.target in {"", use.kind}]
    throttle.fill(*(budget for use in used for budget in use.budgets))
    kinds = [kind for kind in WORDS if any(use.kind == kind for use in used)]
    record(order.user, events.LIMITS_CLEARED, order.actor, detail=" ".join(kinds))
    return kinds


def sessions_of(facts: Facts) -> list[Target]:
    """Return the sessions of a user, with the name of the device and the IP address."""
    return [Target(str(row.pk), f"{row}, {row.ip}") for row in facts.sessions]


def end_sessions(order: Order) -> None:
    """Revoke one session or all."""
    user, actor = order.user, order.actor
    if order.target:
        session = sessions.live(user).get(pk=UUID(order.target))
        sessions.revoke(session, reason=events.ENDED_BY_STAFF, actor=actor, detail=str(session))
    else:
        sessions.revoke_by_operator(user, actor)


def keys_of(facts: Facts) -> list[Target]:
    """Return the API keys of a user by name and first characters."""
    return [Target(key.pk, key.label) for key in facts.keys]


def revoke_keys(order: Order) -> None:
    """Revoke one API key or all."""
    if order.target:
        apikeys.revoke(order.user, order.target, order.actor)
    else:
        apikeys.revoke_keys(order.user, apikeys.of(order.user), order.actor)


def has_picture(facts: Facts) -> bool:
    """Return whether the user has a profile picture that pages show."""
    return bool(pictures.url_of(facts.user))


def remove_picture(order: Order) -> None:
    """Remove the profile picture."""
    pictures.remove(order.user, order.actor)


def apps_of(facts: Facts) -> list[Target]:
    """Return the connected apps of a user without duplicates."""
    found = {row.client_id: row.client.label for row in facts.connections}
    return [Target(client_id, name) for client_id, name in found.items()]


def disconnect_apps(order: Order) -> None:
    """Disconnect one app or all."""
    connected.apps().disconnect(order.user, order.target, order.actor)


def removable_identities(facts: Facts) -> list[Target]:
    """Return the external identities without which the user can still sign in and recover."""
    user = facts.user
    rows = facts.identities if user.is_active else []
    return [
        Target(str(row.pk), str(row)) for row in rows if not social.refusal_of_removal(user, row)
    ]


def disconnect_provider(order: Order) -> None:
    """Disconnect one external identity."""
    social.disconnect(order.user, order.target, order.actor)


def factors_of(facts: Facts) -> list[Target]:
    """Return the authenticator apps and passkeys of a user, by kind and name."""
    labels: list[tuple[Any, str]]
    labels = [(row, _("Authenticator app “%(name)s”")) for row in facts.held.authenticators]
    labels += [(row, _("Passkey “%(name)s”")) for row in facts.held.passkeys]
    return [Target(row.persistent_id, label % {"name": row.name}) for row, label in labels]


def may_wait(facts: Facts) -> bool:
    """Return whether the waiting period for removing the second factors can begin."""
    is_told = bool(facts.user.email) and recovery.is_offered(facts.user)
    return is_told and facts.recovery is None


def remove_factors(order: Order) -> None:
    """Remove one second factor or all, or begin the waiting period after which the user can.

    Raises:
        FactorNeeded: the account may not be without this factor.
        CannotWait: recovery by waiting is not possible.
    """
    user, actor = order.user, order.actor
    if order.mode is Mode.WAIT:
        _ask_to_remove(user, actor)
        return
    held = twofactor.held(user)
    factors: list[Authenticator | Passkey] = [*held.authenticators, *held.passkeys]
    row = next((row for row in factors if row.persistent_id == order.target), None)
    if row is None or twofactor.is_last(user, row):
        twofactor.reset(user, actor)
        return
    try:
        kind = Passkey if isinstance(row, Passkey) else Authenticator
        twofactor.remove(kind, user, row.pk, actor)
    except (Required, LastWayIn):
        raise FactorNeeded from None


def _ask_to_remove(user: User, actor: Actor) -> None:
    """Request the removal as if the user had proved access to the primary mailbox.

    After the waiting period, the user must prove this access with a reset link.
    """
    if recovery.running(user):
        raise AlreadyDone
    try:
        if not user.email:
            raise CannotWait
        recovery.ask(user, Proof.now(Method.MAIL, email_key(user.email)), actor=actor)
    except recovery.NotOffered:
        raise CannotWait from None


def switch(order: Order, *, is_active: bool) -> None:
    """Reactivate the account, or deactivate it and revoke every session and API key."""
    user, actor = order.user, order.actor
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    event = events.SWITCHED_ON if is_active else events.SWITCHED_OFF
    credentials_changed.send(User, user=user, event=event.name, actor=actor, keep=None)
    if user.is_privileged:
        tell_superusers(user, actor)
