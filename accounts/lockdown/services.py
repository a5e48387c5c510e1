"""Locks accounts: revokes everything that could sign in, until the account is reset."""

from dataclasses import dataclass

from django.db import transaction

from accounts.activity import events, notices
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.codes.services import LinkSpent
from accounts.common import clock
from accounts.common.proofs import Method
from accounts.common.signals import credentials_changed
from accounts.recovery import services as recovery
from accounts.recovery import suspension, upgrade
from accounts.sessions import services as sessions
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import User, locked_password


@dataclass(frozen=True)
class Effects:
    """What a lock does, for the page that asks for confirmation.

    ``sessions`` and ``keys`` are the numbers of sessions and API keys that end. ``suspended`` names
    the credentials that are suspended. ``primary`` is the new primary address, or empty if it stays
    the same. ``by_mail`` tells whether the account can be reset by mail; otherwise only a connected
    provider or an operator can open it.
    """

    sessions: int
    keys: int
    suspended: list[str]
    primary: str
    by_mail: bool


def effects(user: User, notice: Notice | None = None) -> Effects:
    """Return the effects of locking the account of ``user``, by the link of ``notice`` if given."""
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

    No password, passkey, mailed code or provider signs in until a reset by the rule of
    ``accounts.users.disputes``. Receivers of ``credentials_changed`` end the sessions and keys and
    raise the ``credential_version``, which voids earlier mailed links. The event of ``notice``, or
    without one this moment, is the disputed change.
    """
    owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    at = notice.row.at if notice else clock.now()
    if owner.is_disputed and owner.disputed_at:
        at = min(at, owner.disputed_at)
    if not owner.is_disputed:
        # A request from before the lock must not open it. One made during the lock stays.
        recovery.delete(owner)
    upgrade.store(owner, at)
    former_hash = former_credentials.password_hash(owner, at)
    users.replace_password(owner, locked_password(former_hash))
    owner.disputed_at = at
    User.objects.filter(pk=owner.pk).update(disputed_at=at)
    # Send this before addresses are suspended, so that every address gets the notice.
    credentials_changed.send(
        User, user=owner, event=events.LOCKED_DOWN.name, actor=actor, keep=None
    )
    young = suspension.young(owner, at)
    notices.end_links(owner, [row.email for row in young.emails])
    if young.primary and young.primary != owner.email:
        record(owner, events.PRIMARY_CHANGED, actor, detail=young.primary)
    suspension.suspend(owner, at, actor)


@transaction.atomic
def lock_down_by_link(notice: Notice, token: str, actor: Actor) -> None:
    """Lock the account by the link of ``notice``, which has the secret ``token``.

    Links of later events that were mailed to the same address end. Links of earlier events stay,
    but work only while the account is locked, so each mailbox can lock the account once.

    Raises:
        LinkSpent: the link was used meanwhile.
    """
    # Lock the row of the user before those of the links, as everywhere, to avoid a deadlock.
    owner = User.objects.select_for_update(no_key=True).get(pk=notice.user.pk)
    if notice.looks_back and not owner.is_locked_down:
        raise LinkSpent
    if not notices.spend(notice, token):
        raise LinkSpent
    notices.keep_earlier_links(notice)
    lock_down(owner, actor.by(Method.MAIL), notice)
