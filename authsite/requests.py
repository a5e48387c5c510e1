"""Request classes that ignore the charset of a form.

Django parses the Content-Type header when it creates a request, before any middleware can respond.
A charset that is not a text encoding ("hex"), or a header that is too long, would cause a status
500 without an error page. The forms of this site are always UTF-8, so no charset is needed.
"""

from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest

LONGEST_CONTENT_TYPE = 500


def without_charset(content_type: str) -> str:
    """Return the media type and boundary of a Content-Type header, or "" if it is too long."""
    if len(content_type) > LONGEST_CONTENT_TYPE:
        return ""
    media_type, *parameters = content_type.split(";")
    boundary = [p for p in parameters if p.strip().lower().startswith("boundary=")]
    return ";".join([media_type, *boundary])


class _Utf8:
    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        plain = without_charset(meta.get("CONTENT_TYPE", ""))
        super()._set_content_type_params({"CONTENT_TYPE": plain})  # type: ignore[misc]  # defined in the other base


class Utf8WSGIRequest(_Utf8, WSGIRequest):
    """A WSGI request that ignores the charset of its Content-Type header."""


class Utf8ASGIRequest(_Utf8, ASGIRequest):
    """An ASGI request that ignores the charset of its Content-Type header."""
