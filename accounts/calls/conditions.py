"""Conditional calls: ``ETag``, ``If-None-Match``, ``If-Match`` (RFC 9110 sections 8.8 and 13)."""

from hashlib import sha256
from typing import Any

from django.utils.http import parse_etags
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.common.errors import PublicError

HEADER = "If-Match"
IF_MATCH = OpenApiParameter(
    HEADER,
    location="header",
    description="The `ETag` of what you have read. If it has changed since, the answer is 412.",
)
ETAG = OpenApiParameter(
    "ETag",
    location="header",
    response=[200],
    description="Changes with the body. For `If-Match`, or `If-None-Match` (304 if unchanged).",
)


class PreconditionFailed(PublicError):
    """The object has changed since the client read it."""

    code = "precondition_failed"
    status = 412
    message = _("This was changed since you read it. Read it again, then repeat the change.")


def etag_of(body: bytes) -> str:
    """Return the entity tag of ``body``."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def _tag(data: Any) -> str:
    return etag_of(JSONRenderer().render(data))


def tagged(request: Request, data: Any) -> Response:
    """Return a response with ``data`` and its entity tag.

    The status is 304, without a body, if the client already has the same data.
    """
    etag = _tag(data)
    is_known = request.method == "GET" and etag in parse_etags(
        request.headers.get("If-None-Match", "")
    )
    headers = {"ETag": etag}
    return Response(status=304, headers=headers) if is_known else Response(data, headers=headers)


def check(request: Request, data: Any) -> None:
    """Require that ``data`` is still what the client has read, if the request has ``If-Match``.

    Raises:
        PreconditionFailed: the data has changed.
    """
    expected = request.headers.get(HEADER, "*").strip()
    if expected != "*" and _tag(data) not in parse_etags(expected):
        raise PreconditionFailed
