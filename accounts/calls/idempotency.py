"""Repeats of calls that create something: the header ``Idempotency-Key``.

A client that did not receive an answer sends the same request with the same key again, and learns
what the first request has created (draft-ietf-httpapi-idempotency-key-header).
``accounts.calls.services`` stores the keys.
"""

import hmac
import re
from collections.abc import Callable
from functools import partial, wraps
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.calls.models import CreatingCall
from accounts.calls.services import CALL, Call, Repeated
from accounts.common import secrets
from accounts.common.errors import PublicError

HEADER = "Idempotency-Key"
# Long enough that nobody can guess another client's random key.
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


def idempotent(again: Again, status: int = 201) -> Callable[[Any], Any]:
    """Make a method of an API view repeatable, if its service calls :func:`created`.

    ``again``: the method that answers a repeated request, given the id of the object. It returns
        the content of the first answer in its current state and without secrets.
    ``status``: the status of an answer to a request that has created something.
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
    """Return the response of ``create``; of ``again`` if the same call already created something.

    ``again``, ``status``: see :func:`idempotent`.
    ``part``: if one call creates several objects, the number of the object and the part of the body
        that describes it.
    """
    call = _call_of(request, status, part)
    if call and (earlier := call.find()):
        return _repeat(again, earlier)
    token = CALL.set(call)
    try:
        return create()
    except (APIException, PublicError, Repeated):
        # A simultaneous request with the same key may be the cause, for example of a taken name.
        if call and (earlier := call.find()):
            return _repeat(again, earlier)
        raise
    finally:
        CALL.reset(token)


def _repeat(again: Callable[[str], Response], earlier: CreatingCall) -> Response:
    answer = again(earlier.object_id)
    answer.status_code = earlier.status
    return answer


def _call_of(request: Request, status: int, part: tuple[int, bytes] | None) -> Call | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not VALID.fullmatch(key):
        raise InvalidKey
    # The key is bound to the user and the call, so it has no meaning for another.
    subject = f"{request.method} {request.path}\0{request.user.pk}\0{key}"
    if part is None:
        text = request.body
    else:
        number, text = part
        subject += f"\0{number}"
    body = hmac.new(key.encode(), text, sha256).hexdigest()
    return Call(secrets.digests(subject, "idempotency key"), body, status)
