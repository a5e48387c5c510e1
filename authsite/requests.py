"""Requests that can be made of anything a client sends.

Django reads a request's Content-Type while it makes the request, before any middleware could
answer: a charset that is no text encoding ("hex"), or a header that is too long, would be a 500
without a page. Forms are UTF-8 here, as HTML's are, so no charset is looked at.
"""

from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest

LONGEST_CONTENT_TYPE = 500


def without_charset(content_type: str) -> str:
    """The media type and its boundary, all that is needed of it; empty if it's too long."""
    if len(content_type) > LONGEST_CONTENT_TYPE:
        return ""
    media_type, *parameters = content_type.split(";")
    boundary = [p for p in parameters if p.strip().lower().startswith("boundary=")]
    return ";".join([media_type, *boundary])


class _Utf8:
    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        plain = without_charset(meta.get("CONTENT_TYPE", ""))
        super()._set_content_type_params({"CONTENT_TYPE": plain})  # type: ignore[misc]


class Utf8WSGIRequest(_Utf8, WSGIRequest):
    """A request under WSGI."""


class Utf8ASGIRequest(_Utf8, ASGIRequest):
    """A request under ASGI."""
