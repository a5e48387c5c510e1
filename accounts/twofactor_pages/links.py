"""The enrolment link: staff without a second factor add one by it, at an operator's word.

It replaces password and mailbox, which the authentication policy otherwise requires of them. It
works once, for a day, while the account must have a second factor and has none; a newer one and
every change of the account's credentials replace it.
"""

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common.errors import PublicError
from accounts.common.links import absolute
from accounts.twofactor import services as twofactor
from accounts.users.models import User

LINK = Purpose("enrolment.link", life=timedelta(days=1))


class NotNeeded(PublicError):
    """The account has a second factor, or may do without one, or is switched off."""

    code = "enrolment_not_needed"
    message = _("This account needs no enrolment link.")


def new_link(user: User) -> str:
    """Return a link by which ``user`` signs in once and adds a second factor; an older one ends.

    Raises:
        NotNeeded: the account doesn't have to add one.
    """
    if not _must_enrol(user):
        raise NotNeeded
    return absolute("enrolment_link", codes.issue_link(LINK, _subject(user)))


def find_by_link(token: str) -> User | None:
    """Return whose link it is, or None if it doesn't work (any more)."""
    user_id, _space, version = (codes.subject_of(LINK, token) or "").partition(" ")
    if not version:
        return None
    user = User.objects.filter(pk=user_id, credential_version=version).first()
    return user if user and _must_enrol(user) else None


def spend(user: User, token: str) -> bool:
    """Use the link up; return whether it was unused."""
    return codes.spend(LINK, _subject(user), token)


def _must_enrol(user: User) -> bool:
    return user.is_active and twofactor.is_required(user) and not twofactor.has_any(user)


def _subject(user: User) -> str:
    return f"{user.pk} {user.credential_version}"
