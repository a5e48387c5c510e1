"""Creates endpoints, writes their deliveries in the transaction of each change, and sends them.

All superusers are notified of a new or changed endpoint, because it may get the events of
everybody. It gets webhooks (Standard Webhooks) or Security Event Tokens (RFC 8417).
"""

import base64
import hmac
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.models import Activity
from accounts.activity.services import Actor, data_of, record, record_for_superusers, timestamp
from accounts.common import clock, crypto, metrics, secrets
from accounts.common.database import PreparedQuery, delete_in_batches
from accounts.common.errors import PublicError
from accounts.common.leases import LeasedQueue, Sender, Work
from accounts.tokens import keyring, signatures
from accounts.users.models import User
from accounts.webhooks.models import (
    CAEP_CHANGE,
    LONGEST_ANSWER,
    RISC,
    SECURITY_EVENTS,
    Delivery,
    Endpoint,
)

log = logging.getLogger(__name__)

# The purpose of the encryption of secrets.
PURPOSE = "webhook"
# For this time, deliveries are also signed with the former secret.
OVERLAP = timedelta(days=7)
# Accepted deliveries are stored for this time.
KEPT = timedelta(days=7)
# The fields that staff can change.
FIELDS = ("description", "url", "is_private", "format", "kinds", "groups")
TEST, PREFIX = "test", "whsec_"
_ENABLED = PreparedQuery(
    lambda: Endpoint.objects.filter(disabled_at=None, format__in=Endpoint.Format.values)
)


class EndpointDisabled(PublicError):
    """The endpoint is disabled."""

    code = "invalid_target"
    message = _("Enable the webhook before you send anything to it.")


class SecretReplaced(PublicError):
    """The endpoint already has a new secret, perhaps because a form was sent twice."""

    code = "already_done"
    status = 409
    message = _("This webhook already has a new secret, and the former one is still valid.")


@transaction.atomic
def save_endpoint(endpoint: Endpoint, actor: Actor, new: str = "") -> str:
    """Save the fields :data:`FIELDS`; return the secret of a new endpoint, else an empty text.

    A simultaneous disabling is not undone.

    ``new``: the secret of a new endpoint; by default, a random one.

    Raises:
        ValidationError: a field of ``endpoint`` is invalid: see :meth:`Endpoint.clean`; or
            ``new`` is not a secret of Standard Webhooks.
    """
    is_new, secret = endpoint._state.adding, ""
    if is_new:
        secret, endpoint.made_by = _secret(new), actor.id
        endpoint.secret = crypto.seal(secret, PURPOSE)
    endpoint.full_clean()
    endpoint.save(force_insert=is_new, update_fields=None if is_new else FIELDS)
    _tell(events.WEBHOOK_ADDED if is_new else events.WEBHOOK_CHANGED, endpoint, actor)
    return secret


@transaction.atomic
def rotate_secret(endpoint: Endpoint, actor: Actor, *, now: bool = False, new: str = "") -> str:
    """Create and return a new secret of ``endpoint``. For a week, deliveries are signed with both.

    ``now``: if True, the former secret expires at once, because it may have leaked.
    ``new``: the new secret; by default, a random one.

    Raises:
        ValidationError: ``new`` is not a secret of Standard Webhooks.
        SecretReplaced: the former secret is still valid. With a third secret, a receiver that
            has only the first one could no longer verify deliveries.
    """
    endpoint = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if not now and endpoint.former_until and endpoint.former_until > clock.now():
        raise SecretReplaced
    secret = _secret(new)
    endpoint.former_secret = "" if now else endpoint.secret
    endpoint.former_until = None if now else clock.now() + OVERLAP
    endpoint.secret, endpoint.made_by = crypto.seal(secret, PURPOSE), actor.id
    endpoint.save(update_fields=["secret", "former_secret", "former_until", "made_by"])
    _tell(events.WEBHOOK_CHANGED, endpoint, actor)
    return secret


@transaction.atomic
def set_enabled(endpoint: Endpoint, actor: Actor, *, enabled: bool) -> bool:
    """Enable or disable ``endpoint``; return False if this changes nothing.

    The waiting deliveries of a disabled endpoint are not sent, and soon deleted. Its receiver can
    read the missed events in the event feed.
    """
    rows = Endpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=not enabled)
    if not rows.update(disabled_at=None if enabled else clock.now()):
        return False
    _tell(events.WEBHOOK_CHANGED if enabled else events.WEBHOOK_DISABLED, endpoint, actor)
    return True


def write(rows: Sequence[Activity]) -> None:
    """Write the deliveries for the events ``rows``, in the transaction of the change.

    Without an endpoint, this takes one short query. For a sign-in, whose event has no type, it
    takes none.
    """
    endpoints = _ENABLED.all()
    if not endpoints:
        return
    members = _members(endpoints, rows)
    Delivery.objects.bulk_create(
        _delivery(endpoint, row)
        for row in rows
        for endpoint in endpoints
        if _hears(endpoint, row, members)
    )


def send_again(delivery: Delivery, user: User, actor: Actor) -> None:
    """Send ``delivery`` once more, with the same id, on behalf of the member of staff ``user``.

    Raises:
        EndpointDisabled: the endpoint is disabled.
    """
    same = {name: getattr(delivery, name) for name in ("event", "subject", "type", "body")}
    _post(delivery.endpoint, user, actor, **same)


def send_test(endpoint: Endpoint, user: User, actor: Actor) -> None:
    """Send a test to ``endpoint`` on behalf of the member of staff ``user``.

    Raises:
        EndpointDisabled: the endpoint is disabled.
    """
    body = {"type": TEST, "timestamp": f"{clock.now():%Y-%m-%dT%H:%M:%S.000Z}", "data": {}}
    _post(endpoint, user, actor, subject=endpoint.pk, type=TEST, body=json.dumps(body))


def prune() -> int:
    """Delete deliveries that were accepted a week ago; return how many were deleted."""
    return delete_in_batches(Delivery.objects.filter(sent_at__lte=clock.now() - KEPT))


@transaction.atomic
def _post(endpoint: Endpoint, user: User, actor: Actor, **fields: object) -> None:
    if endpoint.disabled_at:
        raise EndpointDisabled
    Delivery.objects.create(endpoint=endpoint, **fields)
    record(user, events.WEBHOOK_SENT, actor, detail=endpoint.description)


def _members(endpoints: Iterable[Endpoint], rows: Sequence[Activity]) -> set[tuple[UUID, int]]:
    """Return the pairs of user and group for the groups of ``endpoints``."""
    groups = {group for endpoint in endpoints for group in endpoint.groups}
    people = {_subject(row) for row in rows}
    if not groups:
        return set()
    through = User.groups.through.objects.filter(group__in=groups, user__in=people)
    return set(through.values_list("user_id", "group_id"))


def _hears(endpoint: Endpoint, row: Activity, members: Collection[tuple[UUID, int]]) -> bool:
    if row.event.type not in endpoint.kinds:
        return False
    if not endpoint.groups or row.event is events.RIGHTS_CHANGED:
        # This event may have removed the person from the group, and the endpoint must still get it.
        return True
    return any((_subject(row), group) in members for group in endpoint.groups)


def _subject(row: Activity) -> UUID:
    return row.user_id or UUID(row.detail)


def _delivery(endpoint: Endpoint, row: Activity) -> Delivery:
    type_ = row.event.type
    body = {"type": type_, "timestamp": timestamp(row), "data": data_of(row)}
    return Delivery(
        endpoint=endpoint,
        event=row.pk,
        subject=_subject(row),
        type=type_,
        body=json.dumps(body),
    )


def _secret(given: str) -> str:
    """Return ``given``, or a random secret in the form of Standard Webhooks: 32 bytes in base64.

    Raises:
        ValidationError: ``given`` has another form, or less than 24 or more than 64 bytes.
    """
    if not given:
        return f"{PREFIX}{base64.b64encode(secrets.raw()).decode()}"
    with suppress(ValueError):
        raw = base64.b64decode(given.removeprefix(PREFIX), validate=True)
        if given.startswith(PREFIX) and 24 <= len(raw) <= 64:
            return given
    raise ValidationError({"secret": f"A secret is {PREFIX} and 24 to 64 bytes in base64."})


def _tell(event: Event, endpoint: Endpoint, actor: Actor) -> None:
    """Record ``event`` in the histories of the creator, ``actor`` and every superuser."""
    also = (endpoint.made_by, actor.id)
    record_for_superusers(event, actor, endpoint.description, also=also)


# The maximum time in seconds for one delivery, including the name lookup.
SECONDS = 5.0
# In bytes. The body of the response is ignored.
LONGEST_RESPONSE = 10_000
# For this time, an event of a person waits for an earlier one that has failed.
HOLD = timedelta(minutes=10)
# The maximum number of waiting deliveries for an endpoint, so that one receiver cannot fill the
# database.
MOST_WAITING = 100_000


@dataclass(frozen=True)
class Queue(LeasedQueue[Delivery]):
    """The queue of deliveries that were not accepted. Accepted deliveries stay in the table."""

    def due(self) -> QuerySet[Delivery]:
        """Return the due deliveries that need not wait for an earlier event of the same person."""
        earlier = self._rows.filter(
            endpoint=OuterRef("endpoint"), subject=OuterRef("subject"), pk__lt=OuterRef("pk")
        )
        has_waited = Q(created_at__lte=clock.now() - HOLD)
        return super().due().filter(has_waited | ~Exists(earlier))

    def remove(self, done: Collection[Delivery]) -> None:
        """Record that the endpoints have accepted ``done``, and their responses."""
        for row in done:
            row.sent_at = clock.now()
        Delivery.objects.bulk_update(done, ["sent_at", "answer"])

    def put_off(self, failed: Collection[Delivery]) -> None:
        """Make the rows ``failed`` due again after a pause, and record why they failed."""
        super().put_off(failed)
        Delivery.objects.bulk_update(failed, ["answer"])

    @property
    def _rows(self) -> QuerySet[Delivery]:
        return super()._rows.filter(sent_at=None)


QUEUE = Queue(
    Delivery,
    # The lease is longer than a batch of the sender takes, unless a name server hangs.
    lease=timedelta(minutes=1),
    first_wait=timedelta(seconds=10),
    longest_wait=timedelta(hours=2),
    life=timedelta(days=3),
)


def signature(message_id: str, timestamp: int, body: str, *secrets: str) -> str:
    """Return the header ``webhook-signature``: a signature for each secret (Standard Webhooks)."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    keys = (base64.b64decode(secret.removeprefix(PREFIX)) for secret in secrets)
    macs = (hmac.digest(key, signed, sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def _prepare(rows: list[Delivery]) -> list[Delivery]:
    """Set ``request`` of ``rows``, which belong to one endpoint, to the body and the headers.

    If no key decrypts the secret, or the site cannot sign, ``request`` stays None, so that other
    endpoints still get their deliveries.
    """
    endpoint, now = rows[0].endpoint, clock.now()
    is_former_valid = endpoint.former_until and endpoint.former_until > now
    sealed = [endpoint.secret, *([endpoint.former_secret] if is_former_valid else [])]
    with suppress(InvalidToken, keyring.CannotSign):
        secrets = [crypto.unseal(text, PURPOSE) for text in sealed]
        for row in rows:
            row.request = _token(row) if endpoint.is_of_tokens else _webhook(row, *secrets)
    return rows


def _webhook(row: Delivery, *secrets: str) -> tuple[str, dict[str, str]]:
    at = int(clock.now().timestamp())
    return row.body, {
        "Content-Type": "application/json",
        "webhook-id": row.message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(row.message_id, at, row.body, *secrets),
    }


def _token(row: Delivery) -> tuple[str, dict[str, str]]:
    """Return the request of a push delivery (RFC 8935 section 2.1)."""
    headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
    return token(row), headers


def _send(endpoint: Endpoint, row: Delivery) -> str:
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    # Staff may have just disabled it.
    if endpoint.disabled_at or row.request is None:
        row.answer = "not sent"
        return row.answer
    body, headers = row.request
    try:
        with http_client.limited(
            SECONDS, LONGEST_RESPONSE, takes_private=endpoint.is_private
        ) as session:
            answer = session.post(endpoint.url, body.encode(), headers=headers)
    except Exception as error:  # whatever a server answers, the other deliveries must be sent
        row.answer = type(error).__name__[:LONGEST_ANSWER]
        return row.answer
    row.answer = f"status {answer.status_code}"
    return "" if answer.status_code < 300 else row.answer


def sender(is_stopping: Callable[[], bool] = bool) -> Sender[Delivery]:
    """Return the sender of deliveries. ``is_stopping``: returns whether it must stop."""
    return Sender(QUEUE, "endpoint", _prepare, _send, is_stopping)


def is_needed() -> bool:
    """Return whether there is an enabled endpoint, or a delivery is waiting."""
    waiting = Delivery.objects.filter(sent_at=None)
    return Endpoint.objects.filter(disabled_at=None).exists() or waiting.exists()


def give_up() -> int:
    """Delete deliveries that failed for three days or are for disabled endpoints; return how many.

    An endpoint is disabled, and its creator is notified, if it has accepted nothing in that time,
    or if more than :data:`MOST_WAITING` deliveries are waiting.
    """
    before = clock.now() - QUEUE.life
    waiting = Delivery.objects.filter(sent_at=None)
    old = waiting.filter(created_at__lte=before)
    crowded = waiting.order_by().values("endpoint").annotate(n=Count("pk"))
    failing = Q(pk__in=old.values("endpoint")) & ~Q(deliveries__sent_at__gt=before)
    failing |= Q(pk__in=crowded.filter(n__gt=MOST_WAITING).values("endpoint"))
    for endpoint in Endpoint.objects.filter(failing, disabled_at=None).distinct():
        log.error("Webhook %s was disabled, because its receiver did not accept it", endpoint.pk)
        set_enabled(endpoint, Actor(), enabled=False)
    is_over = Q(created_at__lte=before) | Q(endpoint__disabled_at__isnull=False)
    return delete_in_batches(waiting.filter(is_over))


WORK = Work("webhooks", sender, is_needed, give_up, QUEUE, metrics.WEBHOOKS)


# The type in the header, so that a Security Event Token is not accepted as an ID token or an access
# token (RFC 8417 section 2.3).
TYPE = "secevent+jwt"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
# By event: ``credential_type`` and ``change_type`` (CAEP section 3.3). Other events update a
# password or revoke a factor.
_CREDENTIALS = {
    "password_set": ("password", "create"),
    "factor_added": ("app", "create"),
    "factor_removed": ("app", "delete"),
    "passkey_added": ("fido2-roaming", "create"),
    "passkey_made": ("fido2-platform", "create"),
    "passkey_confirmed": ("fido2-platform", "update"),
    "passkey_removed": ("fido2-roaming", "delete"),
    "recovery_codes_made": ("recovery-code", "update"),
    "emailed_codes_on": ("email", "create"),
    "emailed_codes_off": ("email", "delete"),
}
_INITIATORS = {"user": "user", "site": "system"}


def token(row: Delivery) -> str:
    """Return the Security Event Token for ``row``. Its claims are the same in each attempt.

    A test is the event ``verification`` of the Shared Signals Framework 1.0.
    """
    iss, data = settings.AUTHSITE.origin, json.loads(row.body)["data"]
    name, event = VERIFICATION, {}
    subject = {"format": "opaque", "id": str(row.subject)}
    if data:
        name, event = SECURITY_EVENTS[row.type], _event(row, data)
        subject = {"format": "iss_sub", "iss": iss, "sub": data["user"]}
    claims = {
        "iss": iss,
        "aud": row.endpoint.url,
        "iat": int(row.created_at.timestamp()),
        "jti": row.message_id,
        "sub_id": subject,
        "events": {name: event},
    }
    return signatures.sign(claims, TYPE, keyring.signer())


def _event(row: Delivery, data: dict[str, Any]) -> dict[str, Any]:
    name = SECURITY_EVENTS[row.type]
    if name.startswith(RISC):
        return {"reason": "hijacking"} if row.type == "user.locked" else {}
    event = {
        "event_timestamp": int(row.created_at.timestamp()),
        "initiating_entity": _INITIATORS.get(data["by"], "admin"),
    }
    if name == CAEP_CHANGE:
        usual = ("password", "update") if row.type == "password.changed" else ("app", "revoke")
        credential, change = _CREDENTIALS.get(data["event"], usual)
        event |= {"credential_type": credential, "change_type": change}
    return event
