"""Taking a new password."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
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
from accounts.signin import mailed
from accounts.twofactor import services as twofactor
from accounts.users.models import User

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
    recipient = mailed.recipient_of(login)
    mailed.charge_mail(LINK, recipient, place)
    with transaction.atomic():
        token = codes.issue_link(LINK, recipient.subject(mailed.new_nonce()))
        with speaking(recipient.language):
            post(mails.reset(recipient.user, recipient.address, token))


@dataclass(frozen=True)
class Reset:
    """What a good reset link stands for: the user as it was when it was mailed."""

    user: User
    subject: str


def find_by_link(token: str) -> Reset | None:
    """The reset that a link begins, if it's good for the account as it is now."""
    subject = codes.subject_of(LINK, token) or ""
    match subject.split():
        case [user_id, version, _nonce]:
            as_mailed = User.objects.filter(pk=user_id, credential_version=version, is_active=True)
            user = as_mailed.first()
            return Reset(user, subject) if user else None
    return None


def reset(
    found: Reset, token: str, password: str, source: Source, *, end_keys: Collection[str]
) -> None:
    """Take ``password`` for a good link; :class:`LinkSpent`. All sign-ins end.

    The API keys whose ids are in ``end_keys`` end, too.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if not codes.spend(LINK, found.subject, token) or not _replace(
            found.user, hashed, events.PASSWORD_RESET, source, keep=None, end_keys=end_keys
        ):
            raise LinkSpent
        if found.user.is_locked_down:
            twofactor.drop_newcomers(found.user, source)


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
    as_read = User.objects.filter(
        pk=user.pk, credential_version=user.credential_version, is_active=True
    )
    if not as_read.update(password=hashed):
        return False
    apikeys.end_chosen(user, end_keys, source)
    credentials_changed.send(User, user=user, event=event.name, source=source, keep=keep)
    return True
