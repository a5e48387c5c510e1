"""When every second factor is lost: a waiting period, every address told, a link to cancel it.

Whoever has the first step alone gets in that way only if nobody who reads any of the account's
mailboxes minds for three days. Staff can't: somebody who runs the site knows them.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Source, record
from accounts.codes import services as link_codes
from accounts.codes.services import Purpose
from accounts.kernel import clock
from accounts.kernel.errors import PublicError
from accounts.kernel.languages import speaking
from accounts.kernel.proofs import Method
from accounts.mail.services import post
from accounts.throttle.limits import FACTOR_RECOVERY
from accounts.throttle.services import spend
from accounts.twofactor import mails
from accounts.twofactor.models import FactorRecovery
from accounts.users import services as users
from accounts.users.models import User

LINK = "factor.recovery"
# How long it can be done once the waiting period is over; then it must be asked for anew.
OPEN = timedelta(days=7)


class NotDue(PublicError):
    """Nothing was asked for, it was cancelled, or the waiting period isn't over."""

    code = "not_due"
    status = 403
    message = _("That can’t be done yet.")


class NotOffered(PublicError):
    """Not for staff, nor where the site has switched it off."""

    code = "not_offered"
    status = 403
    message = _("Ask whoever runs the site.")


def is_offered(user: User) -> bool:
    """Whether ``user`` may ask for it."""
    # Who has no address can't be told.
    can_be_told = bool(user.email) and not user.is_privileged
    return settings.AUTHSITE.factor_recovery_hours > 0 and can_be_told


def running(user: User) -> FactorRecovery | None:
    """What was asked for and is still good, due or not."""
    return _good(user).first() if is_offered(user) else None


def is_due(found: FactorRecovery | None) -> bool:
    """Whether the waiting period is over."""
    return found is not None and found.due_at <= clock.now()


def ask(user: User, source: Source) -> FactorRecovery:
    """Begin the waiting period, or go on with the one that runs; every address is told.

    :class:`NotOffered`, ``Later``, ``Outdated``.
    """
    if not is_offered(user):
        raise NotOffered
    if found := running(user):
        return found
    # A thief's asking uses nothing up once the owner has changed the password.
    spend(FACTOR_RECOVERY, user.pk, user.credential_version)
    wait = timedelta(hours=settings.AUTHSITE.factor_recovery_hours)
    with transaction.atomic():
        owner = users.hold(user)
        if found := running(owner):
            return found
        found, _is_new = FactorRecovery.objects.update_or_create(
            user=owner,
            defaults={"version": owner.credential_version, "due_at": clock.now() + wait},
        )
        record(owner, events.RECOVERY_ASKED, source)
        for n, row in enumerate(owner.addresses.order_by("pk")):
            token = link_codes.issue_link(Purpose(LINK, life=wait + OPEN), f"{owner.pk} {n}")
            with speaking(owner.language):
                post(mails.recovery(owner, row.address, token, found.due_at, source))
    return found


def find_by_link(token: str) -> User | None:
    """Whose waiting period a link cancels, if one runs."""
    subject = link_codes.subject_of(Purpose(LINK), token)
    user = users.find_by_id(subject.split()[0]) if subject else None
    return user if user and running(user) else None


def cancel(user: User, source: Source) -> bool:
    """End the waiting period without removing anything; whether one ran."""
    asked = FactorRecovery.objects.filter(user=user)
    # Every good second step comes here: a look holds no other writer up.
    return asked.exists() and _cancel(user, source)


@transaction.atomic
def _cancel(user: User, source: Source) -> bool:
    was_good = _good(user).delete()[0] > 0
    FactorRecovery.objects.filter(user=user).delete()
    link_codes.issued(Purpose(LINK), f"{user.pk} ").delete()
    if was_good:
        record(user, events.RECOVERY_CANCELLED, source)
    return was_good


def cancel_by_link(user: User, source: Source) -> bool:
    """The same, by the link of the mail."""
    return cancel(user, source.by(Method.MAIL))


def take(owner: User) -> None:
    """Use up a waiting period that is over, in the caller's transaction; :class:`NotDue`."""
    due = _good(owner).filter(due_at__lte=clock.now())
    if not is_offered(owner) or not due.delete()[0]:
        raise NotDue


def prune() -> int:
    """Forget what was never done; how many."""
    return FactorRecovery.objects.filter(due_at__lte=clock.now() - OPEN).delete()[0]


def _good(user: User) -> QuerySet[FactorRecovery]:
    """What was asked for, if nothing of the credentials has changed since and it isn't too old."""
    return FactorRecovery.objects.filter(
        user=user, version=user.credential_version, due_at__gt=clock.now() - OPEN
    )
