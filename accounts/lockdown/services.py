"""Locking an account down."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.notices import Notice
from accounts.activity.services import Source, record
from accounts.apikeys import services as apikeys
from accounts.identities import services as identities
from accounts.identities.models import Identity
from accounts.kernel import clock
from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import Method
from accounts.kernel.signals import credentials_changed
from accounts.sessions import services as sessions
from accounts.users import addresses
from accounts.users import services as users
from accounts.users.models import Address, User, locked_password


class LinkSpent(PublicError):
    """The link was used or has ended."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


@dataclass(frozen=True)
class Effects:
    """What a lockdown ends (sign-ins, API keys), drops, and puts back (an address, or nothing).

    ``by_mail``: whether a mail leads back in; if not, a site that the account is connected with.
    """

    sessions: int
    keys: int
    dropped: list[Address]
    identities: list[Identity]
    primary: str
    by_mail: bool


def effects(user: User, notice: Notice | None = None) -> Effects:
    """What locking ``user`` down does, by the link of ``notice`` or from inside.

    Addresses and identities that are not established are dropped: a thief's own would be a way
    back in.
    """
    at = notice.row.at if notice else clock.now()
    rows = list(user.addresses.all())
    established = notices.established(user, rows, at)
    newcomers = _newcomers(user, at)
    keeper = _keeper(user, established, notice)
    if keeper == user.email and not established and _has_other(user, newcomers):
        # Perhaps a thief's, and the owner has another way back.
        keeper = ""
    dropped = [row for row in rows if row not in established and row.address != keeper]
    return Effects(
        sessions.live(user).count(),
        apikeys.of(user).count(),
        dropped,
        newcomers,
        keeper if keeper != user.email else "",
        bool(keeper),
    )


@transaction.atomic
def lock_down(user: User, source: Source, notice: Notice | None = None) -> None:
    """End every session of ``user``, and what is under way; no password opens the account.

    Whatever else holds rights of the account listens to ``credentials_changed``; what was mailed
    before it is for a former ``credential_version``, and so worth nothing.
    """
    owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    found = effects(owner, notice)
    Address.objects.filter(pk__in=[row.pk for row in found.dropped]).delete()
    if found.primary:
        users.give_back_address(owner, found.primary)
        record(owner, events.PRIMARY_CHANGED, source, detail=found.primary)
    elif owner.email and not found.by_mail:
        # From here on nothing is told to it.
        owner.email = ""
        owner.save(update_fields=["email"])
    for row in found.dropped:
        record(owner, events.ADDRESS_REMOVED, source, detail=row.address)
    for identity in found.identities:
        identity.delete()
        record(owner, events.PROVIDER_DISCONNECTED, source, detail=str(identity))
    User.objects.filter(pk=owner.pk).update(password=locked_password())
    credentials_changed.send(
        User, user=owner, event=events.LOCKED_DOWN.name, source=source, keep=None
    )


@transaction.atomic
def lock_down_by_link(notice: Notice, token: str, source: Source) -> None:
    """The same, by the link of a mail; :class:`LinkSpent`.

    If an established address was told, it becomes the primary one again.
    """
    # Before its links, as every act on the account does.
    owner = User.objects.select_for_update(no_key=True).get(pk=notice.user.pk)
    if not notices.spend(notice, token):
        raise LinkSpent
    notices.end_other_links(notice, effects(owner, notice).dropped)
    lock_down(owner, source.by(Method.MAIL), notice)


def _newcomers(user: User, at: datetime) -> list[Identity]:
    """Identities of less than a week; what the account was made with is none.

    Not the last ones of an account without an address: nothing else would lead back in.
    """
    since = max(user.date_joined + users.AT_ONCE, at - notices.ESTABLISHED)
    new = [row for row in identities.of(user) if row.connected_at > since]
    return new if user.email or _has_other(user, new) else []


def _has_other(user: User, newcomers: list[Identity]) -> bool:
    """Whether an identity that opens the account stays."""
    return any(row not in newcomers for row in identities.usable(user))


def _keeper(user: User, established: list[Address], notice: Notice | None) -> str:
    """The address that is to be the primary one."""
    if notice and notice.undoes:
        # Its mailbox may have been confirmed for another account meanwhile: that one keeps it.
        others = Address.objects.exclude(user=user)
        if not others.filter(key=addresses.key(notice.address)).exists():
            return notice.address
    if not established or user.email in {row.address for row in established}:
        return user.email
    return established[0].address
