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
    shown: Shown,
    removes_factors: bool = False,
) -> None:
    """Set ``password`` by a good link; every session ends.

    The API keys whose ids are in ``end_keys`` end, too. ``removes_factors``: every second factor
    is lost and goes as well. That, and a locked account, require that ``shown`` is enough now.

    Raises:
        LinkSpent: it was used, has ended, or the account has changed since.
        NotDue: those older proofs don't allow it, or the request that waited was stopped.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if not codes.spend(LINK, found.subject, token, found.email_key):
            raise LinkSpent
        try:
            if removes_factors:
                recovery.remove_factors(found.user, shown, source)
            elif found.user.is_disputed:
                # Again: somebody may have objected while the password was hashed.
                recovery.check(found.user, shown)
        except Outdated:
            raise LinkSpent from None
        if not _replace(
            found.user, hashed, events.PASSWORD_RESET, source, keep=None, end_keys=end_keys
        ):
            raise LinkSpent


def change(user: User, password: str, source: Source, *, end_keys: Collection[str]) -> None:
    """Take ``password`` from who is signed in and has just proved it; all other sign-ins end.

    The API keys whose ids are in ``end_keys`` end, too.
    :class:`LinkSpent` if the credentials were changed elsewhere at the same moment.
    """
    hashed = passwords.hash_password(password)
    event = events.PASSWORD_CHANGED if user.has_usable_password() else events.PASSWORD_SET
    with transaction.atomic():
        if not _replace(user, hashed, event, source, keep=source.session, end_keys=end_keys):
            raise LinkSpent


def _replace(
    user: User,
    hashed: str,
    event: Event,
    source: Source,
    *,
    keep: uuid.UUID | None,
    end_keys: Collection[str],
) -> bool:
    """Replace the password of ``user`` as it was read; whether it is still that user."""
    try:
        owner = users.hold(user)
    except Outdated:
        return False
    users.replace_password(owner, hashed)
    apikeys.end_chosen(user, end_keys, source)
    credentials_changed.send(User, user=user, event=event.name, source=source, keep=keep)
    return True
