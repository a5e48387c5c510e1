"""Suspends recent credentials when an account is locked; restores or deletes them later.

Suspended rows are moved out of their tables, so that nobody can sign in with them. The owner
reviews them after a password reset. External identities stay in their table with ``suspended_at``
set: without the row, the next sign-in with the provider would create a second account.
"""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, has_happened, record
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.signals import credentials_changed
from accounts.recovery.rule import MONTH, Lock
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.models import LOCKED, EmailAddress, FormerCredential, Identity, User

Kind = FormerCredential.Kind
FACTORS = (Authenticator, Passkey, RecoveryCodes)


class CannotPutBack(PublicError):
    """Another account now has the email address, or this account has the factor again."""

    code = "not_possible"
    message = _(
        "This can’t be restored because it’s already in use again, in this account or another one."
    )


@dataclass(frozen=True)
class Suspendable:
    """The credentials that a lock suspends: recent ones, and all external identities.

    ``primary`` is the primary address after the lock, or an empty string. ``emailed_codes`` says
    whether the lock turns codes by email off, because they were turned on recently.
    """

    emails: QuerySet[EmailAddress]
    factors: list[Authenticator | Passkey | RecoveryCodes]
    identities: list[Identity]
    primary: str
    emailed_codes: bool

    @property
    def labels(self) -> list[str]:
        """The email addresses, and the names of the factors and identities, to show to the user."""
        names = [row.name for row in self.factors]
        return [*map(str, self.emails), *names, *map(str, self.identities)]


def suspendable(user: User, lock: Lock) -> Suspendable:
    """Return the credentials that ``lock`` suspends.

    These are all credentials that the account got after the horizon of the lock, and all external
    identities.
    """
    since = lock.horizon
    emails = user.emails.filter(confirmed_at__gt=since)
    established = list(user.emails.filter(confirmed_at__lte=since).order_by("confirmed_at"))
    primary = next((row.email for row in established if row.email == user.email), "")
    primary = primary or (established[0].email if established else "")
    # Unconfirmed passkeys are not listed: ``accounts.consequences`` removes them with the password.
    factors = [
        row
        for model in FACTORS
        for row in model.objects.filter(user=user, confirmed=True, made_at__gt=since)
    ]
    connected = [row for row in users_models.of(user) if row.suspended_at is None]
    codes_on = bool(user.emailed_codes) and has_happened(user, events.EMAILED_CODES_ON, since)
    return Suspendable(emails, factors, connected, primary, codes_on)


def suspend(owner: User, lock: Lock, actor: Actor) -> None:
    """Suspend what :func:`suspendable` returns, and turn codes by email off if it says so.

    Call this in a transaction that has locked the row of ``owner``.
    """
    found, now = suspendable(owner, lock), clock.now()
    labels = found.labels
    for email in found.emails:
        former_credentials.keep_email(email, now, is_suspended=True)
    found.emails.delete()
    for row in found.factors:
        twofactor.keep(row, is_suspended=True)
        row.delete()
    Identity.objects.filter(pk__in=[row.pk for row in found.identities]).update(suspended_at=now)
    if owner.email != found.primary:
        owner.save_email(found.primary)
    if found.emailed_codes:
        owner.emailed_codes = False
        owner.save(update_fields=["emailed_codes"])
        record(owner, events.EMAILED_CODES_OFF, actor)
    for label in labels:
        record(owner, events.SUSPENDED, actor, detail=label)


def is_reviewed(user: User) -> bool:
    """Return whether ``user`` has no suspended credentials left."""
    return not (former_credentials.suspended(user).exists() or suspended_identities(user).exists())


def may_review(user: User) -> bool:
    """Return whether ``user`` can still restore or delete anything on the review page."""
    return user.horizon is not None or not is_reviewed(user)


def suspended_identities(user: User) -> QuerySet[Identity]:
    """Return the suspended external identities of ``user``, oldest first."""
    return Identity.objects.filter(user=user, suspended_at__isnull=False).order_by("pk")


def put_back(user: User, row_id: int, actor: Actor) -> bool:
    """Restore a suspended or removed credential; return whether it was found.

    Every session except the session of ``actor`` is revoked. An email address becomes primary only
    if the account has no primary address.

    Raises:
        CannotPutBack: another account has the email address, or this account has the factor
            again.
        AccountChanged: the account was changed in the meantime.
    """
    try:
        with transaction.atomic():
            owner = users.lock_row(user)
            rows = FormerCredential.objects.filter(user=owner, pk=row_id)
            row = rows.exclude(kind=Kind.PASSWORD).first()
            if row is None or not _may_return(owner, row):
                return False
            restored = former_credentials.restore(row)
            if isinstance(restored, EmailAddress) and not owner.email:
                owner.save_email(restored.email)
            _tell(user, events.PUT_BACK, row.label, actor)
    except IntegrityError:
        raise CannotPutBack from None
    return True


def put_back_identity(user: User, identity_id: int, actor: Actor) -> bool:
    """Allow sign-ins with a suspended external identity again; return whether it was found.

    Raises:
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        row = suspended_identities(owner).filter(pk=identity_id).first()
        if row is None:
            return False
        Identity.objects.filter(pk=row.pk).update(suspended_at=None)
        _tell(user, events.PUT_BACK, str(row), actor)
    return True


def delete(user: User, row_id: int, actor: Actor) -> bool:
    """Delete a suspended credential permanently; return whether it was found.

    Raises:
        AccountChanged: the account was changed in the meantime.
    """
    return _delete(user, former_credentials.suspended(user).filter(pk=row_id), actor)


def delete_identity(user: User, identity_id: int, actor: Actor) -> bool:
    """Disconnect a suspended external identity; return whether it was found.

    Raises:
        AccountChanged: the account was changed in the meantime.
    """
    return _delete(user, suspended_identities(user).filter(pk=identity_id), actor)


@transaction.atomic
def finish(user: User, actor: Actor) -> None:
    """End the review.

    Afterwards, addresses that were removed before the lock can no longer be put back.

    Raises:
        AccountChanged: the account was changed or locked again in the meantime.
    """
    owner = users.lock_row(user)
    # Record this while suspended and removed addresses are still notified of changes.
    record(owner, events.REVIEWED, actor)
    User.objects.filter(pk=owner.pk).update(locked_at=None, horizon=None)


def end_forgotten_reviews() -> int:
    """End each review that is unfinished 30 days after the password reset; return how many ended.

    Credentials that are still suspended are deleted, except external identities, which stay
    suspended. Otherwise an address that may belong to a thief would be notified forever, and old
    password hashes would never be deleted.
    """
    return sum(_end_review(user) for user in list(_forgotten()))


def _forgotten() -> QuerySet[User]:
    before = clock.now() - MONTH
    found = User.objects.filter(locked_at__lte=before, password_at__lte=before)
    return found.exclude(password__startswith=LOCKED)


@transaction.atomic
def _end_review(user: User) -> bool:
    # Read and lock the row again, because the account may have been locked again in the meantime.
    # If the review of that lock ended here, the mailbox alone would unlock the account.
    owner = _forgotten().select_for_update(no_key=True).filter(pk=user.pk).first()
    if owner is None:
        return False
    former_credentials.suspended(owner).delete()
    owner.locked_at = owner.horizon = None
    owner.save(update_fields=["locked_at", "horizon"])
    record(owner, events.REVIEW_ENDED, Actor())
    return True


@transaction.atomic
def _delete(user: User, rows: QuerySet[Any], actor: Actor) -> bool:
    owner = users.lock_row(user)
    row = rows.first()
    if row is None:
        return False
    record(owner, events.SUSPENDED_DELETED, actor, detail=str(row))
    row.delete()
    return True


def _may_return(owner: User, row: FormerCredential) -> bool:
    return row.is_suspended or row in former_credentials.removed(owner, Kind.EMAIL)


def _tell(user: User, event: Event, label: str, actor: Actor) -> None:
    credentials_changed.send(
        User, user=user, event=event.name, actor=actor, detail=label, keep=actor.session
    )
    user.refresh_from_db(fields=["credential_version", "email"])
