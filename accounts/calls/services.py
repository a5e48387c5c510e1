"""Stores what a call of the API with the header ``Idempotency-Key`` has created.

``accounts.calls.idempotency`` answers repeated calls. The service stores the key in the transaction
that creates the object, so that both exist or neither does.
"""

import hmac
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from accounts.calls.models import CreatingCall
from accounts.common import clock
from accounts.common.database import delete_in_batches
from accounts.common.errors import PublicError

LIFE = timedelta(hours=24)


class KeyReused(PublicError):
    """The ``Idempotency-Key`` was used before, with another body."""

    code = "idempotency_key_reused"
    status = 422
    message = _("This Idempotency-Key was used for another request.")


class Repeated(Exception):
    """A simultaneous request with the same key has already created the object."""


@dataclass(frozen=True)
class Call:
    """A call with a key: the digests of the key, newest first, the body's HMAC, and the status."""

    digests: list[str]
    body: str
    status: int

    def find(self) -> CreatingCall | None:
        """Return the record of the same call if it was made before and created something.

        Raises:
            KeyReused: the earlier call had another body.
        """
        earlier = CreatingCall.objects.filter(digest__in=self.digests)
        found = earlier.filter(created_at__gt=clock.now() - LIFE).first()
        if found and not hmac.compare_digest(found.body, self.body):
            raise KeyReused
        return found


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def created(object_id: object, owner: UUID) -> None:
    """Store the object that the request has created, if the request has a key.

    Call this in the same transaction.

    Raises:
        Repeated: a simultaneous request with the same key has created it already.
    """
    call = CALL.get()
    if call is None:
        return
    expired = CreatingCall.objects.filter(created_at__lte=clock.now() - LIFE)
    expired.filter(digest=call.digests[0]).delete()
    try:
        CreatingCall.objects.create(
            digest=call.digests[0],
            body=call.body,
            status=call.status,
            object_id=str(object_id),
            owner=owner,
        )
    except IntegrityError:
        raise Repeated from None


def prune() -> int:
    """Delete the keys of calls older than 24 hours; return how many were deleted."""
    return delete_in_batches(CreatingCall.objects.filter(created_at__lte=clock.now() - LIFE))
