"""Reads from the security history what earlier releases of the site did not store.

Earlier releases stored neither the date of a password nor removed addresses. A thief may have
changed the password and the addresses before the upgrade, or on a server that still runs such a
release. Without the data from the history, the thief's password would count in a dispute as if it
were the owner's, and the owner's removed mailbox would not count.
"""

from datetime import datetime, timedelta

from accounts.activity import events
from accounts.activity.models import LONGEST_DETAIL, Activity
from accounts.users import emails, former_credentials
from accounts.users.disputes import baseline
from accounts.users.models import EmailAddress, FormerCredential, User

PASSWORDS = [e.name for e in (events.PASSWORD_CHANGED, events.PASSWORD_RESET, events.PASSWORD_SET)]
# The current release stores the date of a password shortly before it records the event.
MOMENT = timedelta(minutes=1)


def store(owner: User, disputed_at: datetime) -> None:
    """Store what the security history says about the password and removed addresses of ``owner``.

    The password gets its date. An address is stored if it was removed less than a week before the
    disputed change, or later. The caller has locked the row of ``owner``.

    ``disputed_at``: the time of the disputed change.
    """
    _date_password(owner)
    _keep_removed_emails(owner, baseline(owner, disputed_at))


def _date_password(owner: User) -> None:
    rows = Activity.objects.filter(user=owner, kind__in=PASSWORDS)
    last = rows.order_by("pk").values_list("at", flat=True).last()
    if last and (owner.password_at is None or owner.password_at < last - MOMENT):
        owner.password_at = last
        owner.save(update_fields=["password_at"])


def _keep_removed_emails(owner: User, since: datetime) -> None:
    rows = Activity.objects.filter(user=owner).order_by("pk")
    kept = FormerCredential.objects.filter(user=owner, kind=FormerCredential.Kind.EMAIL)
    known = set(kept.values_list("removed_at", flat=True))
    # The account may have a removed address again, because the address was put back.
    held = set(owner.emails.values_list("key", flat=True))
    for removed in rows.filter(kind=events.ADDRESS_REMOVED.name, at__gt=since):
        email, key = removed.detail, emails.key(removed.detail)
        # The history truncates long addresses. A truncated address may be that of somebody else.
        if key in held or removed.at in known or len(email) >= LONGEST_DETAIL:
            continue
        added = rows.filter(kind=events.ADDRESS_ADDED.name, detail=email, pk__lt=removed.pk).last()
        # No event is recorded for the address with which an account was created.
        confirmed_at = added.at if added else owner.date_joined
        row = EmailAddress(user=owner, email=email, key=key, confirmed_at=confirmed_at)
        former_credentials.keep_email(row, removed.at)
