"""Enrolment links, with which an operator lets staff without a second factor add one.

A link replaces the password and the mailbox, which the authentication policy otherwise requires of
staff. It works once, within a day, and only while the account must have a second factor and has
none. A newer link or a change of the account's credentials invalidates it.
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
    """The account has a second factor, needs none, or is deactivated."""

    code = "enrolment_not_needed"
    message = _("This account doesn’t need an enrolment link.")


def new_link(user: User) -> str:
    """Return a URL with which ``user`` can sign in once and add a second factor.

    Older links of ``user`` stop working.

    Raises:
        NotNeeded: the account does not have to add a second factor.
    """
    if not _must_enrol(user):
        raise NotNeeded
    return absolute("enrolment_link", codes.issue_link(LINK, user.stamp))


def find_by_link(token: str) -> User | None:
    """Return the user of the link with ``token``, or None if the link does not work any more."""
    user_id, _space, version = (codes.subject_of(LINK, token) or "").partition(" ")
    if not version:
        return None
    user = User.objects.filter(pk=user_id, credential_version=version).first()
    return user if user and _must_enrol(user) else None


def spend(user: User, token: str) -> bool:
    """Use up the link with ``token``; return whether it was unused."""
    return codes.spend(LINK, user.stamp, token)


def _must_enrol(user: User) -> bool:
    return user.is_active and twofactor.is_required(user) and not twofactor.has_any(user)
