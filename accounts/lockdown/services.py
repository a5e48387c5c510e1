"""Locking an account down."""

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.models import Activity
from accounts.activity.services import Source
from accounts.codes import services as codes
from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import Method
from accounts.kernel.signals import credentials_changed
from accounts.sessions import services as sessions
from accounts.users.models import User


class LinkSpent(PublicError):
    """The link was used or has ended."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


def effects(user: User) -> dict[str, int]:
    """How much a lockdown of ``user`` would end, by what it is."""
    return {"sessions": sessions.live(user).count()}


@transaction.atomic
def lock_down(user: User, source: Source) -> None:
    """End every session of ``user``, and what is under way; no password opens the account.

    Whatever else holds rights of the account listens to ``credentials_changed``.
    """
    # Before the user's row, as whoever spends a mailed code takes them.
    codes.withdraw_all(user.pk)
    User.objects.filter(pk=user.pk).update(password=make_password(None))
    credentials_changed.send(
        User, user=user, event=events.LOCKED_DOWN.name, source=source, keep=None
    )


def lock_down_by_link(notice: Activity, token: str, source: Source) -> None:
    """The same, by the link of the mail that told of ``notice``; :class:`LinkSpent`."""
    with transaction.atomic():
        if notice.user is None or not activity.spend_link(notice, token):
            raise LinkSpent
        lock_down(notice.user, source.by(Method.MAIL))
