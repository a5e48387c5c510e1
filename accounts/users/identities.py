"""External identities: people's accounts at identity providers, by issuer and subject."""

from django.conf import settings
from django.db import models

from accounts.common import clock
from accounts.common.issuers import LONGEST_ISSUER, Issuer
from accounts.users.models import User

LONGEST_SUBJECT = 255
LONGEST_LABEL = 254
SHORT_SUBJECT = 24


class Identity(models.Model):
    """A user's account at an identity provider (a federated identifier of NIST SP 800-63C).

    ``issuer`` and ``subject`` identify it; ``label`` is a name that its owner recognizes. The
    provider's key in the settings is not stored: if an operator used the key for another provider,
    people of the former one would be found.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=LONGEST_ISSUER)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True)
    connected_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)
    # Set by a lock of the account. The identity signs nobody in until its owner confirms it.
    suspended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_each")
        ]

    def __str__(self) -> str:
        return f"{self.site} ({self.known_as})"

    @property
    def known_as(self) -> str:
        """A name that tells the identity apart from others of the same provider."""
        return self.label or self.subject[:SHORT_SUBJECT]

    @property
    def configured(self) -> Issuer | None:
        """The identity's provider in the settings, or None if it is not configured any more."""
        matching = (i for i in settings.AUTHSITE.issuers if i.issuer == self.issuer)
        return next(matching, None)

    @property
    def site(self) -> str:
        """The name of the identity's provider, or its issuer if it is not configured any more."""
        return self.configured.name if self.configured else self.issuer


def find(issuer: str, subject: str) -> Identity | None:
    """Return the identity of ``subject`` at ``issuer``, with its user, or None."""
    rows = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject)
    return rows.first()


def of(user: User) -> list[Identity]:
    """Return all external identities of ``user``, oldest first."""
    return list(Identity.objects.filter(user=user).order_by("pk"))


def usable(user: User) -> list[Identity]:
    """Return the identities that can sign ``user`` in.

    Their provider is still configured, and no lock of the account has suspended them.
    """
    return [row for row in of(user) if row.configured and row.suspended_at is None]


def note_use(identity: Identity) -> None:
    """Record that ``identity`` was used just now."""
    Identity.objects.filter(pk=identity.pk).update(used_at=clock.now())
