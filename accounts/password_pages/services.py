"""Sets a new password: by a mailed link, or in a session with recent authentication."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor
from accounts.apikeys import services as apikeys
from accounts.codes import services as codes
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.languages import speaking
from accounts.common.signals import credentials_changed
from accounts.mail.services import post
from accounts.password_pages import mails
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.sessions import known_browsers
from accounts.signin import mailed_codes
from accounts.signin.mailed_codes import Recipient
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import LOGIN_REPEAT
from accounts.throttle.services import spend
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.disputes import Shown
from accounts.users.models import User
from accounts.users.services import AccountChanged

LINK = mailed_codes.RESET
# In place of an address, for a link that was mailed to nobody.
NO_EMAIL = "-"


class LinkSpent(PublicError):
    """The link was used, has ended, or the account has changed since."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


def send_reset(login: str, client: ClientInfo) -> None:
    """Mail a reset link to whoever has the username or address ``login``.

    The work is the same for known, unknown, pending and deactivated accounts, so that timing
    reveals nothing.

    Raises:
        Later: a budget for mails is used up.
    """
    recipient = mailed_codes.recipient_for(LINK, login, client, _with_former_emails)
    user = recipient.user
    # A former mailbox may be a thief's: it need not learn the username.
    username = user.username if user and not recipient.is_former else ""
    with transaction.atomic():
        key = emails.key(recipient.address) if recipient.address else ""
        token = codes.issue_link(LINK, recipient.subject(mailed_codes.new_nonce()), key)
        with speaking(recipient.language):
            post(mails.reset(username, recipient.address, token), life=LINK.life)


def link_without_mail(user: User) -> str:
    """Return the token of a reset link of a locked account, for a browser that has shown a proof.

    It names no email address, so it proves no mailbox.
    """
    return codes.issue_link(LINK, Recipient("", user).subject(mailed_codes.new_nonce()), NO_EMAIL)


def _with_former_emails(recipient: Recipient) -> Recipient:
    """Return ``recipient``, or the user of a locked account that had its address.

    A lock may have suspended the only address, or a thief may have removed it. The link is then
    only the way to the page: whether it counts as proof is for ``accounts.users.disputes``.
    """
    row = former_credentials.find_disputed_email(recipient.key)
    if row is None or recipient.user:
        return recipient
    return Recipient(recipient.key, row.user, row.label, is_former=True)


@dataclass(frozen=True)
class Reset:
    """A valid reset link: its user, and the key of the email address that it was mailed to."""

    user: User
    subject: str
    email_key: str

    @property
    def by_mail(self) -> bool:
        """Whether the link was mailed."""
        return self.email_key != NO_EMAIL


def find_by_link(token: str) -> Reset | None:
    """Return the reset of a link; None if it is used, expired or older than the credentials.

    The link must have been mailed to an address of the account, unless older proofs open it.
    """
    link = codes.find_link(LINK, token)
    match link.subject.split() if link else []:
        case [user_id, version, _nonce]:
            as_mailed = User.objects.filter(pk=user_id, credential_version=version, is_active=True)
            user = as_mailed.first()
            if link and user and (user.is_disputed or _is_of(user, link.address)):
                return Reset(user, link.subject, link.address)
    return None


def _is_of(user: User, key: str) -> bool:
    # The previous version stored no address. Its links expire within half an hour.
    return not key or user.addresses.filter(key=key).exists()


def reset(
    found: Reset,
    token: str,
    password: str,
    actor: Actor,
    *,
    end_keys: Collection[str],
    shown: Shown,
    removes_factors: bool = False,
) -> None:
    """Set ``password`` by a reset link; every session ends.

    The API keys whose ids are in ``end_keys`` end, too. With ``removes_factors``, every second
    factor is removed as lost. That, and a locked account, require that ``shown`` is enough now.

    Raises:
        LinkSpent: the link was used or has expired, or the account has changed since.
        NotOffered, NotDue: see ``recovery.services.remove_factors``.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if not codes.spend(LINK, found.subject, token, found.email_key):
            raise LinkSpent
        try:
            if removes_factors:
                recovery.remove_factors(found.user, shown, actor)
            elif found.user.is_disputed:
                # Again: somebody may have objected while the password was hashed.
                recovery.check(found.user, shown)
            _replace(found.user, hashed, events.PASSWORD_RESET, actor, keep=None, end_keys=end_keys)
        except AccountChanged:
            raise LinkSpent from None
    if found.by_mail and actor.client and known_browsers.find(actor.client, found.user) is None:
        mail_limits.undo(found.email_key, actor.client, found.user.username_key, found.email_key)


def change(user: User, password: str, actor: Actor, *, end_keys: Collection[str]) -> None:
    """Set ``password`` in a session with recent authentication; every other session ends.

    The API keys whose ids are in ``end_keys`` end, too.

    Raises:
        AccountChanged: the account was changed at the same moment.
        Later: too many passwords were hashed in this session.
    """
    spend((LOGIN_REPEAT, actor.session))
    hashed = passwords.hash_password(password)
    event = events.PASSWORD_CHANGED if user.has_usable_password() else events.PASSWORD_SET
    with transaction.atomic():
        _replace(user, hashed, event, actor, keep=actor.session, end_keys=end_keys)


def _replace(
    user: User,
    hashed: str,
    event: Event,
    actor: Actor,
    *,
    keep: uuid.UUID | None,
    end_keys: Collection[str],
) -> None:
    owner = users.hold(user)
    users.replace_password(owner, hashed)
    # The account isn't locked any more: the notice of this has a link to lock it.
    owner.password = hashed
    apikeys.revoke_chosen(owner, end_keys, actor)
    credentials_changed.send(User, user=owner, event=event.name, actor=actor, keep=keep)
