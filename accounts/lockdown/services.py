"""Locks accounts: everything that could sign in ends at once, until a reset."""

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.proofs import Method
from accounts.common.signals import credentials_changed
from accounts.recovery import services as recovery
from accounts.recovery import suspension, upgrade
from accounts.sessions import services as sessions
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import User, locked_password


class LinkSpent(PublicError):
    """The link was used or has expired."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


@dataclass(frozen=True)
class Effects:
    """What a lock does, for the page that asks before it.

    It ends ``sessions`` and ``keys`` and suspends what ``suspended`` names. ``primary`` is the
    address that becomes primary, if another. ``by_mail`` tells whether a reset by mail is possible;
    otherwise only a connected provider or an operator opens the account.
    """

    sessions: int
    keys: int
    suspended: list[str]
    primary: str
    by_mail: bool


def effects(user: User, notice: Notice | None = None) -> Effects:
    """Return what locking ``user`` would do, by the link of ``notice`` or without one."""
    young = suspension.young(user, notice.row.at if notice else clock.now())
    return Effects(
        sessions.live(user).count(),
        apikeys.of(user).count(),
        young.labels,
        young.primary if young.primary != user.email else "",
        bool(young.primary or young.emails),
    )


@transaction.atomic
def lock_down(user: User, actor: Actor, notice: Notice | None = None) -> None:
    """End every session, API key and trusted browser of ``user``; suspend recent credentials.

    No password, passkey, mailed code or provider opens the account until a reset by the rule of
    ``accounts.users.disputes``. Receivers of ``credentials_changed`` end the rest and raise the
    ``credential_version``, which voids earlier mailed links. The event of ``notice`` becomes the
    disputed change, else this moment does.
    """
    owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    at = notice.row.at if notice else clock.now()
    if owner.is_disputed and owner.disputed_at:
        at = min(at, owner.disputed_at)
    if not owner.is_disputed:
        # A request to remove factors must not open the lock. One made during it outlives others.
        recovery.delete(owner)
    upgrade.store(owner, at)
    former_hash = former_credentials.password_hash(owner, at)
    users.replace_password(owner, locked_password(former_hash))
    owner.disputed_at = at
    User.objects.filter(pk=owner.pk).update(disputed_at=at)
    # Sent before addresses are suspended, so that each of them gets the notice.
    credentials_changed.send(
        User, user=owner, event=events.LOCKED_DOWN.name, actor=actor, keep=None
    )
    young = suspension.young(owner, at)
    notices.end_links(owner, [row.address for row in young.emails])
    if young.primary and young.primary != owner.email:
        record(owner, events.PRIMARY_CHANGED, actor, detail=young.primary)
    suspension.suspend(owner, at, actor)


@transaction.atomic
def lock_down_by_link(notice: Notice, token: str, actor: Actor) -> None:
    """Lock the account by the link of ``notice``, whose secret is ``token``.

    Later links that were mailed to that address end. Earlier ones look further back, and work only
    while the account is locked, so each mailbox locks it once.

    Raises:
        LinkSpent: the link was used meanwhile.
    """
    # The user is locked before the links, as everywhere, to avoid a deadlock.
    owner = User.objects.select_for_update(no_key=True).get(pk=notice.user.pk)
    if notice.looks_back and not owner.is_locked_down:
        raise LinkSpent
    if not notices.spend(notice, token):
        raise LinkSpent
    notices.keep_earlier_links(notice)
    lock_down(owner, actor.by(Method.MAIL), notice)
