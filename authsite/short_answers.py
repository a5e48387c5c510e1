"""The responses of the short path, which calls the same services as the views.

Each function returns None if Django must answer the request.
"""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

from django.conf import settings
from django.http import JsonResponse
from django.utils import translation
from rest_framework.renderers import JSONRenderer

from accounts.common.client_info import ClientInfo, client_from
from accounts.common.errors import RateLimited
from accounts.ops import health
from accounts.profile.api import own_profile
from accounts.signin.services import refuse_flood
from accounts.tokens import keyring, services
from accounts.tokens.api import with_refresh
from accounts.tokens.keyring import Published
from accounts.users import emails
from authsite.errors import body_of, language

type Environ = dict[str, Any]
type Headers = list[tuple[str, str]]


class ShortResponse(NamedTuple):
    """A body, and the headers that differ between responses of the same kind."""

    body: bytes
    headers: Headers = []


# Headers that are new in each response, or are about one client.
OWN = {"content-length", "etag", "retry-after", "x-request-id", "ratelimit", "ratelimit-policy"}
# The maximum size of a body in bytes. A refresh token has about a hundred.
LARGEST_BODY = 1024

_render = JSONRenderer().render


def _me(environ: Environ, _client_ip: str) -> ShortResponse | None:
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    found = own_profile(text) if scheme == "Bearer" else None
    return ShortResponse(found[0], [("ETag", found[1])]) if found else None


def _refresh(environ: Environ, client_ip: str) -> ShortResponse | None:
    if (sent := _members(environ, "refresh")) is None:
        return None
    token_request = services.TokenRequest(settings.AUTHSITE.origin)
    tokens = services.renew(sent["refresh"], token_request, client_of_request(environ, client_ip))
    return ShortResponse(_render(with_refresh(tokens))) if tokens else None


def _sign_in(environ: Environ, client_ip: str) -> ShortResponse | None:
    """Return the refusal if a limit refuses the sign-in. Otherwise Django counts and answers it."""
    sent = _members(environ, "username", "password")
    if sent is None or "HTTP_AUTHORIZATION" in environ or not _is_login(**sent):
        return None
    try:
        refuse_flood(sent["username"], client_of_request(environ, client_ip))
    except RateLimited as error:
        with translation.override(language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))):
            body = _render(body_of(error))
        return ShortResponse(body, [("Retry-After", str(error.retry_after))])
    return None


def client_of_request(environ: Environ, client_ip: str) -> ClientInfo:
    """Return the client info of the request."""
    return client_from(environ | {"REMOTE_ADDR": client_ip})


def _is_login(username: str, password: str) -> bool:
    """Return whether the view would accept both values, and would check the limits next."""
    return (
        0 < len(username) <= emails.MAX_LENGTH
        and username == username.strip()
        and password != ""
        and (username + password).isprintable()
    )


def _members(environ: Environ, *names: str) -> dict[str, str] | None:
    """Return the members of a small JSON body if they are the strings ``names``, else None."""
    body = body_of_request(environ, "application/json")
    if body is None:
        return None
    try:
        sent = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, dict) or sent.keys() != {*names}:
        return None
    return sent if all(type(value) is str for value in sent.values()) else None


def body_of_request(environ: Environ, content_type: str) -> bytes | None:
    """Return a small body of this type, which can still be read again, else None."""
    length = environ.get("CONTENT_LENGTH", "")
    if environ.get("CONTENT_TYPE") != content_type or not length.isdecimal() or len(length) > 4:
        return None
    if int(length) > LARGEST_BODY:
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    return body


def published(keys: Published) -> ShortResponse:
    """Return the response with the public keys."""
    return ShortResponse(keys.body, [("ETag", keys.etag)])


def _ready(_environ: Environ, _client_ip: str) -> ShortResponse | None:
    found = health.inspect()
    return ShortResponse(JsonResponse(found).content) if health.is_ready(found) else None


SIGN_IN, REFRESH = "/api/v1/token/", "/api/v1/token/refresh/"
JWKS = "/.well-known/jwks.json"
POSTED = {SIGN_IN, REFRESH}
# The paths whose responses depend on a cookie. No other response does.
READS_COOKIES: set[str] = set()
RESPONDERS: dict[str, Callable[[Environ, str], ShortResponse | None]] = {
    "/api/v1/me/": _me,
    REFRESH: _refresh,
    SIGN_IN: _sign_in,
    JWKS: lambda *_: published(keyring.jwks()),
    "/health/live": lambda *_: ShortResponse(JsonResponse({"process": health.OK}).content),
    "/health/ready": _ready,
}
