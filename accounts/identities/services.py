"""Whose an identity is, and which still open an account."""

from accounts.common import clock
from accounts.identities.models import Identity
from accounts.users.models import User


def find(issuer: str, subject: str) -> Identity | None:
    """The identity with its user, if it's anybody's."""
    found = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject)
    return found.first()


def of(user: User) -> list[Identity]:
    """All of ``user``, oldest first."""
    return list(Identity.objects.filter(user=user).order_by("pk"))


def usable(user: User) -> list[Identity]:
    """Return those that sign in: at a site that is still configured, and not suspended."""
    return [row for row in of(user) if row.configured and row.suspended_at is None]


def note_use(identity: Identity) -> None:
    """It was shown just now."""
    Identity.objects.filter(pk=identity.pk).update(used_at=clock.now())
