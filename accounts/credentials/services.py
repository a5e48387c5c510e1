"""Taking a new password."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Source
from accounts.apikeys import services as apikeys
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.credentials import mails
from accounts.kernel.errors import PublicError
from accounts.kernel.languages import speaking
from accounts.kernel.places import Place
from accounts.kernel.signals import credentials_changed
from accounts.mail.services import post
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.recovery.evidence import Shown
from accounts.signin import mailed
from accounts.signin.mailed import Recipient
from accounts.users import addresses
from accounts.users import services as users
from accounts.users.models import LOCKED, FormerCredential, User
from accounts.users.services import Outdated

LINK = Purpose("password.reset", life=timedelta(minutes=30))


class LinkSpent(PublicError):
    """The link was used, has ended, or the account has changed since."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


def send_reset(login: str, place: Place) -> None:
    """Mail a link to whoever has that name or address; ``Later``.

    Known, unknown, pending, switched off: the same answer and the same work.
    """
    recipient = _with_former_emails(mailed.recipient_of(login))
    mailed.charge_mail(LINK, recipient, place)
    with transaction.atomic():
        key = addresses.key(recipient.address) if recipient.address else ""
        token = codes.issue_link(LINK, recipient.subject(mailed.new_nonce()), key)
        with speaking(recipient.language):
            post(mails.reset(recipient.user, recipient.address, token))


def link_by_password(user: User) -> str:
    """Return a link that proves no mailbox, for a browser that has shown the former password."""
    return codes.issue_link(LINK, Recipient("", user).subject(mailed.new_nonce()))


def _with_former_emails(recipient: Recipient) -> Recipient:
    """Return the same, or who held that address before a lock that isn't settled yet.

    The link alone proves nothing then: the account may have no other address left.
    """
    rows = FormerCredential.objects.select_related("user").filter(
        Q(is_suspended=True) | Q(removed_at__gte=F("user__disputed_at")),
        kind=FormerCredential.Kind.EMAIL,
        key=recipient.key,
        user__is_active=True,
        user__password__startswith=LOCKED,
        user__disputed_at__isnull=False,
    )
    row = rows.first()
    return (
        Recipient(recipient.key, row.user, row.label) if row and not recipient.user else recipient
    )


@dataclass(frozen=True)
class Reset:
    """What a good reset link stands for: the user as it was when it was mailed, and the mailbox."""

    user: User
    subject: str
    email_key: str


def find_by_link(token: str) -> Reset | None:
    """The reset that a link begins, if it's good for the account as it is now."""
    link = codes.find_link(LINK, token)
    subject = link.subject if link else ""
    match subject.split():
        case [user_id, version, _nonce]:
            as_mailed = User.objects.filter(pk=user_id, credential_version=version, is_active=True)
            user = as_mailed.first()
            return Reset(user, subject, link.address) if user and link else None
    return None


def reset(
    found: Reset,
    token: str,
    password: str,
    source: Source,
    *,
    end_keys: Collection[str],
    lost: Shown | None = None,
) -> None:
    """Set ``password`` by a reset link; every session ends.

    The API keys whose ids are in ``end_keys`` end, too. With ``lost``, every second factor is
    removed as well, if that evidence allows it.

    Raises:
        LinkSpent: the link was used or has expired, or the account has changed since.
        NotOffered, NotDue: see ``recovery.services.remove_factors``.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if not codes.spend(LINK, found.subject, token, found.email_key):
            raise LinkSpent
        try:
            if lost is not None:
                recovery.remove_factors(found.user, lost, source)
            _replace(
                found.user, hashed, events.PASSWORD_RESET, source, keep=None, end_keys=end_keys
            )
        except Outdated:
            raise LinkSpent from None


def change(user: User, password: str, source: Source, *, end_keys: Collection[str]) -> None:
    """Set ``password`` in a session with recent authentication; every other session ends.

    The API keys whose ids are in ``end_keys`` end, too.

    Raises:
        Outdated: the account was changed at the same moment.
    """
    hashed = passwords.hash_password(password)
    event = events.PASSWORD_CHANGED if user.has_usable_password() else events.PASSWORD_SET
    with transaction.atomic():
        _replace(user, hashed, event, source, keep=source.session, end_keys=end_keys)


def _replace(
    user: User,
    hashed: str,
    event: Event,
    source: Source,
    *,
    keep: uuid.UUID | None,
    end_keys: Collection[str],
) -> None:
    users.replace_password(users.hold(user), hashed)
    apikeys.end_chosen(user, end_keys, source)
    credentials_changed.send(User, user=user, event=event.name, source=source, keep=keep)
