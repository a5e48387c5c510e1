"""The models of the receivers of webhooks, and of their deliveries."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.events import TYPES
from accounts.common import clock, secrets
from accounts.common.leases import Leased
from accounts.common.text import refuse_invisible

LONGEST_ANSWER = 60
# The encrypted text of a secret is longer than the secret.
LONGEST_SEALED = 255

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
CAEP_CHANGE = f"{CAEP}credential-change"

# By the type of an event here: the event of a Security Event Token (CAEP 1.0, RISC 1.0).
SECURITY_EVENTS = {
    "user.deleted": f"{RISC}account-purged",
    "user.locked": f"{RISC}account-disabled",
    "user.unlocked": f"{RISC}account-enabled",
    "user.deactivated": f"{RISC}account-disabled",
    "user.reactivated": f"{RISC}account-enabled",
    "password.changed": CAEP_CHANGE,
    "factor.changed": CAEP_CHANGE,
    "session.revoked": f"{CAEP}session-revoked",
}


# Why an endpoint has not answered, by what ``Delivery.answer`` says.
FAILURES: dict[str, Promise] = {
    "not sent": gettext_lazy(
        "Nothing was sent: the webhook is disabled, or its secret can’t be read."
    ),
    "ConnectTimeout": gettext_lazy("The receiver didn’t answer in time."),
    "ReadTimeout": gettext_lazy("The receiver didn’t answer in time."),
    "Unreachable": gettext_lazy("The receiver didn’t answer in time."),
    "ConnectionError": gettext_lazy("We can’t reach the receiver."),
    "SSLError": gettext_lazy("The certificate of the receiver isn’t valid."),
    "TooManyRedirects": gettext_lazy(
        "The receiver redirects. Enter the URL to which it redirects."
    ),
    "TooLong": gettext_lazy("The answer of the receiver was too long."),
}


class Endpoint(models.Model):
    """A receiver of webhooks. It is disabled, not deleted: a simultaneous change may refer to it.

    ``description``: names the endpoint to staff.
    ``is_private``: whether requests to private IP addresses are allowed.
    ``format``: webhooks (Standard Webhooks), or Security Event Tokens (RFC 8935).
    ``kinds``: the types of events, from :data:`TYPES`, that it gets.
    ``groups``: ids of groups. It gets the events of their members and all changes of rights;
        without groups, it gets the events of everybody. A deleted group stays in the list, because
        an empty list would mean everybody.
    ``secret``, ``former_secret``: encrypted. Webhooks are signed with both until ``former_until``.
    ``made_by``: the id of the member of staff who created and saw the secret; null if none did.
    """

    class Format(models.TextChoices):
        """The format in which an endpoint gets events, which also decides how they are signed."""

        WEBHOOK = "webhook", gettext_lazy("Webhooks (Standard Webhooks)")
        TOKEN = "set", gettext_lazy("Security Event Tokens (RFC 8417)")

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    description = models.CharField(
        gettext_lazy("description"), max_length=60, unique=True, validators=[refuse_invisible]
    )
    url = models.URLField(
        gettext_lazy("URL"), max_length=500, validators=[URLValidator(schemes=["https"])]
    )
    is_private = models.BooleanField(gettext_lazy("in a private network"), default=False)
    format = models.CharField(
        gettext_lazy("format"), max_length=10, choices=Format.choices, default=Format.WEBHOOK
    )
    kinds = models.JSONField(gettext_lazy("events"), default=list)
    groups = models.JSONField(
        gettext_lazy("only for people in these groups"), default=list, blank=True
    )
    secret = models.CharField(max_length=LONGEST_SEALED, editable=False)
    former_secret = models.CharField(max_length=LONGEST_SEALED, default="", editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    made_by = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)

    # The secret of an endpoint that was just created. It is not stored.
    new_secret = ""

    class Meta:
        default_permissions = ("add", "change", "view")
        verbose_name = gettext_lazy("webhook")
        verbose_name_plural = gettext_lazy("webhooks")

    def __str__(self) -> str:
        return self.description

    @property
    def is_of_tokens(self) -> bool:
        """Whether it gets Security Event Tokens."""
        return self.format == self.Format.TOKEN

    def clean(self) -> None:
        """Check the types of events and the URL.

        Raises:
            ValidationError: a type is unknown, or has no Security Event Token; or the URL
                contains a password, which staff would see and a dump would print.
        """
        if re.match("https://[^/?#]*@", self.url):
            raise ValidationError({"url": URLValidator.message})
        offered = SECURITY_EVENTS if self.is_of_tokens else TYPES.keys()
        if unknown := set(self.kinds) - set(offered):
            sentence = _("This format doesn’t support the event “%(name)s”.")
            raise ValidationError({"kinds": sentence % {"name": min(unknown)}})


class Delivery(Leased):
    """An event or a test for an endpoint, accepted or not.

    ``event``: the id of the event in the history; null for a test.
    ``subject``: the id of the account that the event is about; for a test, the id of the endpoint.
    ``type``: the type of the event; ``test`` for a test.
    ``body``: the body of the webhook, which contains ids but no secrets.
    ``sent_at``: when the endpoint has accepted it.
    ``answer``: the last response of the endpoint, or why there was none.
    """

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    event = models.BigIntegerField(null=True)
    subject = models.UUIDField()
    type = models.CharField(max_length=32)
    body = models.TextField()
    sent_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=LONGEST_ANSWER, default="")

    # The request to send, which the sender sets. It is not stored.
    request: Any = None

    class Meta:
        default_permissions = ()
        indexes = (
            models.Index(
                fields=("endpoint", "due_at"),
                name="deliveries_due",
                condition=Q(sent_at=None),
            ),
            # Finds earlier deliveries about the same person.
            models.Index(
                fields=("endpoint", "subject", "id"),
                name="deliveries_of_a_person",
                condition=Q(sent_at=None),
            ),
            models.Index(fields=("endpoint", "-id"), name="deliveries_of_an_endpoint"),
        )

    @property
    def outcome(self) -> str:
        """The last answer in words, or why there was none."""
        status = self.answer.removeprefix("status ")
        if status != self.answer:
            return _("The receiver answered: %(status)s") % {"status": status}
        return str(FAILURES.get(self.answer, self.answer))

    @property
    def message_id(self) -> str:
        """The id of all attempts at this event, including those that staff repeat."""
        return f"evt_{self.event}" if self.event else f"test_{self.pk}"
