"""External identities: the accounts that users have at identity providers."""

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

    ``issuer`` and ``subject`` identify the account; ``label`` is a name that the user recognizes.
    The provider's key in the settings is not stored, because an operator may later use the same key
    for another provider.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=LONGEST_ISSUER)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True)
    connected_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)
    # Set when the account is locked. Nobody can sign in with the identity until the account owner
    # confirms it.
    suspended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("subject",), name="identities_by_subject"),)
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_each")
        ]

    def __str__(self) -> str:
        return f"{self.site} ({self.known_as})"

    @property
    def known_as(self) -> str:
        """A name that distinguishes the identity from others of the same provider."""
        return self.label or self.subject[:SHORT_SUBJECT]

    @property
    def configured(self) -> Issuer | None:
        """The settings of the identity's provider, or None if that provider is not configured."""
        matching = (i for i in settings.AUTHSITE.issuers if i.issuer == self.issuer)
        return next(matching, None)

    @property
    def site(self) -> str:
        """The name of the identity's provider, or the issuer if the provider is not configured."""
        return self.configured.name if self.configured else self.issuer


def find(issuer: str, subject: str) -> Identity | None:
    """Return an external identity together with its user, or None if no user has the identity.

    Args:
        issuer: the issuer of the identity provider.
        subject: the id of the person's account at the provider.
    """
    rows = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject)
    return rows.first()


def of(user: User) -> list[Identity]:
    """Return all external identities of ``user``, oldest first."""
    return list(rows_of(user))


def rows_of(user: User) -> models.QuerySet[Identity]:
    """Return the query set of :func:`of`."""
    return Identity.objects.filter(user=user).order_by("pk")


def usable(user: User) -> list[Identity]:
    """Return the identities with which ``user`` can sign in.

    The provider of such an identity is configured, and the identity is not suspended.
    """
    return [row for row in of(user) if row.configured and row.suspended_at is None]


def note_use(identity: Identity) -> None:
    """Record the current time as the last use of ``identity``."""
    Identity.objects.filter(pk=identity.pk).update(used_at=clock.now())
