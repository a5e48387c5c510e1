"""A person's addresses. Every change takes the row of the user first, so that no two cross.

An address is a way back into the account: each change is told to every address that the account
held before and after it, and makes links and codes that were mailed before it worthless.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.services import Actor, record
from accounts.addresses import mails
from accounts.addresses.models import PendingAddress
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.languages import speaking, spoken
from accounts.mail.services import Queue, post
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import ADDRESS_USER, MAIL_AGAIN
from accounts.throttle.services import spend, wait
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.disputes import counts
from accounts.users.models import Address, User

LIFE = timedelta(days=3)
CODE = Purpose("address.code")
LINK = Purpose("address.link", life=LIFE)
MOST = 10


class WrongCode(PublicError):
    """Wrong, old, used up, or for an address that is taken: one answer for all."""

    code = "invalid_code"
    message = _("That code is not right, or not any more. Check it, or ask for a new mail.")


class NotPossible(PublicError):
    """It can't be done to this address (any more)."""

    code = "not_possible"
    message = _("That can’t be done any more. Look at the list again.")


class TooMany(PublicError):
    """Enough addresses for one person."""

    code = "too_many"
    message = _("You have as many addresses as are allowed. Remove one first.")


class OwnAddress(PublicError):
    """They have it."""

    code = "own_address"
    message = _("That address is yours already.")


def pending(user: User) -> QuerySet[PendingAddress]:
    """What waits for a confirmation, oldest first."""
    waiting = PendingAddress.objects.filter(user=user, expires_at__gt=clock.now())
    return waiting.order_by("expires_at")


def add(user: User, address: str, client: ClientInfo) -> PendingAddress:
    """Let ``address``, which is clean, wait for its confirmation, and mail it a code and a link.

    Taken and free addresses look the same. :class:`OwnAddress`, :class:`TooMany`, ``Later``.
    """
    key = emails.key(address)
    if Address.objects.filter(user=user, key=key).exists():
        raise OwnAddress
    spend((MAIL_AGAIN, user.pk, key), (ADDRESS_USER, user.pk), mail_limits.asking(key, client))
    may_leave = mail_limits.may_leave(key, client)
    with transaction.atomic():
        users.hold(user)
        if user.addresses.count() + pending(user).exclude(key=key).count() >= MOST:
            raise TooMany
        kept = pending(user).filter(key=key).first()
        row = PendingAddress(user=user, address=address, key=key, expires_at=clock.now() + LIFE)
        code = codes.issue_code(CODE, row.pk, key)
        token = codes.issue_link(LINK, row.pk, key)
        if kept and not may_leave:
            # What was mailed before stays good if no mail can replace it. The work is the same.
            row.pk = kept.pk
        PendingAddress.objects.filter(user=user, key=key).delete()
        row.save(force_insert=True)
        owners = Address.objects.select_related("user").filter(key=key).first()
        with speaking(owners.user.language if owners else spoken()):
            # To the owner's address as it is stored, never as somebody else typed it.
            mail = (
                mails.already_taken(owners.address) if owners else mails.confirm(row, code, token)
            )
            post(mail if may_leave else replace(mail, to=""), life=LIFE, queue=Queue.STRANGERS)
    return row


def seconds_to_next_mail(row: PendingAddress) -> int:
    """Return the seconds until the next mail to the same address may be asked for; 0 for now."""
    return wait((MAIL_AGAIN, row.user_id, row.key))


def cancel(user: User, pending_id: uuid.UUID) -> None:
    """Let go of an address that waits."""
    PendingAddress.objects.filter(user=user, pk=pending_id).delete()


def confirm_by_code(row: PendingAddress, typed: str, actor: Actor) -> None:
    """Add the address of ``row`` to its user.

    Networks have no limit here: a code has few tries, and a user few codes.

    Raises:
        WrongCode: not the code that was mailed, or somebody else has the address by now.
    """
    if not codes.try_code(CODE, row.pk, typed):
        raise WrongCode
    _confirm(row, CODE, typed, actor)


def confirm_by_link(row: PendingAddress, token: str, actor: Actor) -> None:
    """Add the address; :class:`WrongCode`."""
    _confirm(row, LINK, token, actor)


def find_by_link(user: User, token: str) -> PendingAddress | None:
    """What a link is for, if it's this user's and still waits."""
    pending_id = codes.subject_of(LINK, token)
    return pending(user).filter(pk=pending_id).first() if pending_id else None


def make_primary(user: User, address_id: int, actor: Actor) -> Address:
    """Make one of the user's addresses the primary one; :class:`NotPossible`."""
    with transaction.atomic():
        owner = users.hold(user)
        row = Address.objects.filter(user=owner, pk=address_id).first()
        if row is None or row.address == owner.email:
            raise NotPossible
        before = Address.objects.filter(user=owner, address=owner.email).first()
        owner.email = row.address
        owner.save(update_fields=["email"])
        users.outdate(owner)
        record(owner, events.PRIMARY_CHANGED, actor, detail=row.address, former=before)
        return row


def remove(user: User, address_id: int, actor: Actor) -> Address:
    """Remove an address other than the primary one; :class:`NotPossible`."""
    with transaction.atomic():
        owner = users.hold(user)
        row = Address.objects.filter(user=owner, pk=address_id).first()
        if row is None or row.address == owner.email:
            raise NotPossible
        Address.objects.filter(pk=row.pk).delete()
        users.outdate(owner)
        if owner.addresses.filter(confirmed_at__lt=row.confirmed_at).exists() and not counts(
            owner, row.confirmed_at, clock.now()
        ):
            # Perhaps a thief's, beside an older one: its mails must not lock the account.
            notices.end_links(owner, [row.address])
        told = record(owner, events.ADDRESS_REMOVED, actor, detail=row.address, former=row)
        former_credentials.keep_email(row, told.at)
        return row


def prune() -> int:
    """Delete what was not confirmed in time; how many."""
    return PendingAddress.objects.filter(expires_at__lte=clock.now()).delete()[0]


def _confirm(row: PendingAddress, purpose: Purpose, secret: str, actor: Actor) -> None:
    try:
        with transaction.atomic():
            if not codes.spend(purpose, row.pk, secret, row.key):
                raise WrongCode
            owner = users.hold(row.user)
            if not PendingAddress.objects.filter(pk=row.pk).delete()[0]:
                raise WrongCode
            users.confirm_address(owner, row.address)
            users.outdate(owner)
            record(owner, events.ADDRESS_ADDED, actor, detail=row.address)
    except users.AddressTaken:
        raise WrongCode from None
    if actor.client:
        mail_limits.undo(row.key, actor.client, row.key)
