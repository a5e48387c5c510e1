"""External identities: the accounts of people at other sites, by issuer and subject."""

from django.conf import settings
from django.db import models

from accounts.common import clock
from accounts.common.issuers import LONGEST_ISSUER, Issuer
from accounts.users.models import User

LONGEST_SUBJECT = 255
LONGEST_LABEL = 254
SHORT_SUBJECT = 24


class Identity(models.Model):
    """A person at another site: a federated identifier (NIST SP 800-63C), ``issuer + subject``.

    ``label`` is what its owner knows it by. The key of a site in the settings isn't looked at:
    pointed at another site, it would find the people of the first.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=LONGEST_ISSUER)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True)
    connected_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)
    # Since a lock it signs nobody in, until its owner keeps it.
    suspended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_each")
        ]

    def __str__(self) -> str:
        return f"{self.site} ({self.known_as})"

    @property
    def known_as(self) -> str:
        """What tells it from others of the same site."""
        return self.label or self.subject[:SHORT_SUBJECT]

    @property
    def configured(self) -> Issuer | None:
        """The site as the settings have it, if they still do."""
        found = (i for i in settings.AUTHSITE.issuers if i.issuer == self.issuer)
        return next(found, None)

    @property
    def site(self) -> str:
        """What people call it."""
        return self.configured.name if self.configured else self.issuer


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
