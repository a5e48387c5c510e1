"""Whose an identity is, and which still open an account."""

from accounts.identities.models import Identity
from accounts.kernel import clock
from accounts.users.models import User


def find(issuer: str, subject: str) -> Identity | None:
    """The identity with its user, if it's anybody's."""
    found = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject)
    return found.first()


def of(user: User) -> list[Identity]:
    """All of ``user``, oldest first."""
    return list(Identity.objects.filter(user=user).order_by("pk"))


def usable(user: User) -> list[Identity]:
    """Those at sites that are still configured: the others open nothing."""
    return [identity for identity in of(user) if identity.configured]


def note_use(identity: Identity) -> None:
    """It was shown just now."""
    Identity.objects.filter(pk=identity.pk).update(used_at=clock.now())
