"""Locks accounts, so that nobody can sign in until the password is reset.

:class:`Access` lists what gives access to an account. Pages show it before a change ends it.
"""

import uuid
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from accounts.activity import events, notices
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.codes.services import LinkEnded
from accounts.common import clock
from accounts.common.proofs import Method
from accounts.common.signals import credentials_changed
from accounts.recovery import services as recovery
from accounts.recovery import suspension
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import User, locked_password

_IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


class Access:
    """What gives access to the account of ``user``. Each property is read when it is needed.

    ``keep``: the id of a session to leave out, or None.
    """

    def __init__(self, user: User, keep: uuid.UUID | None = None) -> None:
        self._user, self._keep = user, keep

    @property
    def live(self) -> QuerySet[LoginSession]:
        """The live sessions."""
        rows = live(self._user)
        return rows.exclude(pk=self._keep) if self._keep else rows

    @cached_property
    def _numbers(self) -> dict[str, int]:
        browsers, programs = (Count("pk", filter=q) for q in (_IN_BROWSER, ~_IN_BROWSER & ~IS_APP))
        return self.live.order_by().aggregate(browsers=browsers, programs=programs)

    @property
    def browsers(self) -> int:
        """The number of live sessions in browsers."""
        return self._numbers["browsers"]

    @property
    def programs(self) -> int:
        """The number of live sessions of API clients that are no connected apps."""
        return self._numbers["programs"]

    @property
    def sessions(self) -> int:
        """The number of live sessions of browsers and API clients."""
        return self.browsers + self.programs

    @cached_property
    def apps(self) -> list[str]:
        """The names of the connected apps that are signed in."""
        return connected.apps().names(self.live.order_by())

    @cached_property
    def connections(self) -> list[Any]:
        """The connected apps, signed in or not: see :meth:`connected.Apps.connections_of`."""
        return list(connected.apps().connections_of(self._user))

    @cached_property
    def keys(self) -> apikeys.Effects:
        """The API keys that end with the live sessions, and the others."""
        return apikeys.effects(self._user, self._keep)

    @cached_property
    def trusted(self) -> int:
        """The number of trusted browsers."""
        return trusted_browsers.of(self._user).count()

    @property
    def is_any(self) -> bool:
        """Whether a change of a second factor ends anything."""
        return any((self.sessions, self.apps, self.keys.ending, self.trusted))


def effects(user: User, notice: Notice | None = None) -> dict[str, Any]:
    """Return what locking the account of ``user`` does, for the page that asks for confirmation.

    ``notice``: the notice that contains the link. None if a signed-in user locks the account.

    The members of the result:

    ``access``: the sessions that are revoked, and the trusted browsers.
    ``apps``: the names of the apps that are disconnected.
    ``keys``: the number of API keys that are revoked.
    ``suspended``: the names of the credentials that are suspended.
    ``primary``: the new primary address; empty if the primary address stays the same.
    ``emails``: the number of email addresses that stay.
    ``factors``: the number of second factors that stay, without recovery codes.
    ``emailed_codes``: whether codes by email are turned off.
    ``by_mail``: whether the password can then be reset by email. If not, only a connected provider
        or an operator can unlock the account.
    """
    young = suspension.suspendable(user, notice.row.at if notice else clock.now())
    access = Access(user)
    young_factors = [row for row in young.factors if not isinstance(row, RecoveryCodes)]
    return {
        "access": access,
        "apps": sorted({row.client.name for row in access.connections}),
        "keys": apikeys.of(user).count(),
        "suspended": young.labels,
        "primary": young.primary if young.primary != user.email else "",
        "emails": user.emails.count() - young.emails.count(),
        "factors": twofactor.held(user).count - len(young_factors),
        "emailed_codes": young.emailed_codes,
        "by_mail": bool(young.primary or young.emails),
    }


@transaction.atomic
def lock_down(user: User, actor: Actor, notice: Notice | None = None) -> None:
    """Revoke every session, API key, app and trusted browser; suspend recent credentials.

    Afterwards, nobody can sign in until the password is reset. ``accounts.users.disputes`` explains
    which proofs a reset requires. Receivers of ``credentials_changed`` revoke the sessions and
    keys, and increase the ``credential_version``, which invalidates earlier links.

    ``notice``: a notice about the disputed change. Without a notice, the current time counts as the
        time of the disputed change.
    """
    owner = users.lock_row_as_is(user)
    at = notice.row.at if notice else clock.now()
    if owner.is_disputed and owner.disputed_at:
        at = min(at, owner.disputed_at)
    if not owner.is_disputed:
        # A recovery request from before the lock must not unlock the account. A request that was
        # made during the lock is kept.
        recovery.delete(owner)
    former_hash = former_credentials.password_hash(owner, at)
    users.replace_password(owner, locked_password(former_hash))
    owner.disputed_at = at
    User.objects.filter(pk=owner.pk).update(disputed_at=at)
    # Send the signal before addresses are suspended, so that all of them are notified.
    credentials_changed.send(
        User, user=owner, event=events.LOCKED_DOWN.name, actor=actor, keep=None
    )
    young = suspension.suspendable(owner, at)
    notices.end_links(owner, [row.email for row in young.emails])
    if young.primary and young.primary != owner.email:
        record(owner, events.PRIMARY_CHANGED, actor, detail=young.primary)
    suspension.suspend(owner, at, actor)


@transaction.atomic
def lock_down_by_link(notice: Notice, token: str, actor: Actor) -> None:
    """Lock the account with the link of ``notice``.

    Each mailbox can lock the account only once. Therefore the other links that were sent to this
    mailbox change: links for later events become invalid, and links for earlier events work only
    while the account is locked.

    ``token``: the secret in the link.

    Raises:
        LinkEnded: the link was used in the meantime, or works only while the account is locked.
    """
    # Lock the user before the links, as all code does, to avoid a deadlock.
    owner = users.lock_row_as_is(notice.user)
    if notice.looks_back and not owner.is_locked_down:
        raise LinkEnded
    if not notices.redeem(notice, token):
        raise LinkEnded
    notices.keep_earlier_links(notice)
    lock_down(owner, actor.by(Method.MAIL), notice)
