"""Repeats of calls that create something: the header ``Idempotency-Key``.

A client that did not receive an answer sends the same request with the same key again, and learns
what the first request has created (draft-ietf-httpapi-idempotency-key-header). The service stores
the key in the transaction that creates the object, so that both exist or neither does.
"""

import hmac
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial, wraps
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.calls.models import CreatingCall
from accounts.common import clock, secrets
from accounts.common.database import delete_in_batches
from accounts.common.errors import PublicError

HEADER = "Idempotency-Key"
LIFE = timedelta(hours=24)
# Long enough that nobody guesses the random key of somebody else.
VALID = re.compile(r"[\x21-\x7e]{20,255}")
DESCRIPTION = (
    "20 to 255 random characters without spaces. A repeated request with the same key and body "
    "creates nothing for 24 hours. It returns the object as it is now, and null for its secrets."
)
KEY = OpenApiParameter(HEADER, location="header", description=DESCRIPTION)

type Again = Callable[[Any, Request, str], Response]


class InvalidKey(PublicError):
    """The header is too short or too long to be a random key, or contains spaces."""

    code = "invalid_idempotency_key"
    message = _("Idempotency-Key must have 20 to 255 characters, without spaces.")


class KeyReused(PublicError):
    """The key came with another body before."""

    code = "idempotency_key_reused"
    status = 422
    message = _("This Idempotency-Key was used for another request.")


class _Repeated(Exception):
    """A simultaneous request with the same key was faster."""


@dataclass(frozen=True)
class _Call:
    """A call with a key: the digests of the key, newest first, the HMAC of the body, the status."""

    digests: list[str]
    body: str
    status: int

    def find(self) -> CreatingCall | None:
        """Return the same call, made earlier, if it has created something.

        Raises:
            KeyReused: the earlier call had another body.
        """
        earlier = CreatingCall.objects.filter(digest__in=self.digests)
        found = earlier.filter(created_at__gt=clock.now() - LIFE).first()
        if found and not hmac.compare_digest(found.body, self.body):
            raise KeyReused
        return found


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def idempotent(again: Again, status: int = 201) -> Callable[[Any], Any]:
    """Let a method of an API view be repeated, if its service calls :func:`created`.

    ``again``: the method that answers a repeated request, given the id of the object. It returns
        what the first answer contained, as it is now and without secrets.
    ``status``: that of an answer to a request that has created something.
    """

    def decorate(post: Any) -> Any:
        @wraps(post)
        def repeatable(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            create = partial(post, view, request, *args, **kwargs)
            return once(request, create, partial(again, view, request), status)

        return extend_schema(parameters=[KEY])(repeatable)

    return decorate


def once(
    request: Request,
    create: Callable[[], Response],
    again: Callable[[str], Response],
    status: int = 201,
    part: tuple[int, bytes] | None = None,
) -> Response:
    """Return what ``create`` returns, or ``again`` if the same call has created something before.

    ``again``, ``status``: see :func:`idempotent`.
    ``part``: the number and the text of the part of the body that describes the object, if one call
        creates several.
    """
    call = _call_of(request, status, part)
    if call and (earlier := call.find()):
        return _repeat(again, earlier)
    token = _call.set(call)
    try:
        return create()
    except (APIException, PublicError, _Repeated):
        # A simultaneous request with the same key may be the reason, as of a taken name.
        if call and (earlier := call.find()):
            return _repeat(again, earlier)
        raise
    finally:
        _call.reset(token)


def _repeat(again: Callable[[str], Response], earlier: CreatingCall) -> Response:
    answer = again(earlier.object_id)
    answer.status_code = earlier.status
    return answer


def _call_of(request: Request, status: int, part: tuple[int, bytes] | None) -> _Call | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not VALID.fullmatch(key):
        raise InvalidKey
    # A key of one person or call means nothing to another.
    subject = f"{request.method} {request.path}\0{request.user.pk}\0{key}"
    if part is None:
        text = request.body
    else:
        number, text = part
        subject += f"\0{number}"
    body = hmac.new(key.encode(), text, sha256).hexdigest()
    return _Call(secrets.digests(subject, "idempotency key"), body, status)


def created(object_id: object, owner: UUID) -> None:
    """Store what the request has created, if it has a key. Call this in the same transaction.

    Raises:
        _Repeated: a simultaneous request with the same key has created it already.
    """
    call = _call.get()
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
        raise _Repeated from None


def prune() -> int:
    """Delete the keys of calls older than 24 hours; return how many were deleted."""
    return delete_in_batches(CreatingCall.objects.filter(created_at__lte=clock.now() - LIFE))
