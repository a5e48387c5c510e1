"""Reads from the history what the previous version of the site changed and did not store.

That version kept no date of a password and no removed address. Without them a thief who changed
both before the upgrade, or at a node of that version, would own the account: the thief's password
would count as an older proof, and the owner's mailbox would not.
"""

from datetime import datetime, timedelta

from accounts.activity import events
from accounts.activity.models import LONGEST_DETAIL, Activity
from accounts.users import emails, former_credentials
from accounts.users.disputes import baseline
from accounts.users.models import Address, FormerCredential, User

PASSWORDS = [e.name for e in (events.PASSWORD_CHANGED, events.PASSWORD_RESET, events.PASSWORD_SET)]
# This version stores the date of a password a moment before the event.
MOMENT = timedelta(minutes=1)


def store(owner: User, disputed_at: datetime) -> None:
    """Store what counts in a dispute about ``disputed_at``; lock the row of ``owner`` before."""
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
    # An address that was put back is held again.
    held = set(owner.addresses.values_list("key", flat=True))
    for removed in rows.filter(kind=events.ADDRESS_REMOVED.name, at__gt=since):
        email, key = removed.detail, emails.key(removed.detail)
        # The history cuts a long address short: the rest may be somebody else's address.
        if key in held or removed.at in known or len(email) >= LONGEST_DETAIL:
            continue
        added = rows.filter(kind=events.ADDRESS_ADDED.name, detail=email, pk__lt=removed.pk).last()
        # The first address has no event: the account was made with it.
        confirmed_at = added.at if added else owner.date_joined
        row = Address(user=owner, address=email, key=key, confirmed_at=confirmed_at)
        former_credentials.keep_email(row, removed.at)
