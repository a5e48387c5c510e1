"""The site's own middleware: headers, client IP addresses, request checks, API calls and locale.

Django parses the Content-Type header when it creates a request, before any middleware can respond.
A charset that is not a text encoding ("hex"), or an overlong header, would cause a status 500
without an error page. The forms of this site are always UTF-8, so no charset is needed.

The endpoints of the OpenID Provider for programs ignore cookies: a script gets only what its code
or token allows. Therefore any origin may read the responses, without the browser's credentials. The
setting CORS_ORIGINS decides which origins may call the API.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_finished
from django.db import OperationalError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    UnreadablePostError,
)
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, resolve
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from accounts.activity.notices import combine_mails
from accounts.calls.lists import faults_of
from accounts.common.client_info import behind_proxies, parse_ip
from accounts.common.localization import spoken, zone
from accounts.common.secrets import PATTERN
from accounts.ops import health
from accounts.throttle.services import own_levels, rate_limit_headers
from accounts.tokens import dpop
from authsite.errors import (
    API,
    FAILED,
    FORWARD,
    api_refusal,
    as_public_error,
    fields_body,
    is_call,
    public_error,
    refuse,
)
from authsite.serving.capacity import LONGEST_LENGTH

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


type GetResponse = Callable[[HttpRequest], HttpResponse]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HOST = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
LARGEST_PORT = 65535
CHUNK = 65536
# The maximum size of an API call's body in bytes. Parsing 2.5 MB of JSON takes a quarter of a
# second of processor time, before any rate limit applies.
LARGEST_CALL = 65536
PUBLIC_KEYS = "/.well-known/jwks.json"
FILES = ("/brand/", "/client/", "/favicon.ico", "/apple-touch-icon.png", "/pictures/")
WATCHED = ("/health/", "/metrics")


class Middleware:
    """The base of middleware. ``get_response`` passes a request on (Django's convention)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)


class HeadersMiddleware(Middleware):
    """Adds the headers that Django cannot be configured to send.

    All responses get these headers, including errors, redirects and static files. HSTS is left out
    where it would apply to other sites, because proxies send the responses of forward
    authentication on the hosts of apps.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # Browsers may store a response only if its view allows it. Otherwise, pages could be seen
        # after sign-out.
        response.setdefault("Cache-Control", "no-store")
        is_of_app = request.path_info.startswith(FORWARD)
        if is_of_app or _is_shared_name(request.META.get("HTTP_HOST", "")):
            del response["Strict-Transport-Security"]
        # This hides the name of the server software (ASVS 13.4.6).
        response["Server"] = "web"
        # A page without scripts has no nonce, and 'strict-dynamic' is invalid without a nonce.
        if policy := response.headers.get("Content-Security-Policy"):
            response.headers["Content-Security-Policy"] = policy.replace(
                "script-src 'strict-dynamic'", "script-src 'none'"
            )
        return response


def _is_shared_name(host: str) -> bool:
    """Return whether ``host`` is ``localhost`` or an IP address.

    Other sites can run on other ports of such a host. HSTS would apply to these sites, too:
    browsers would refuse plain HTTP for them for a year.
    """
    name = re.sub(r":[0-9]*$", "", host)
    return name.lower().rstrip(".") == "localhost" or parse_ip(name) is not None


class BodyMiddleware(Middleware):
    """Reads the body of a request to its end, even if no view has read it.

    If a server closes a connection with unread bytes, the connection is reset and the response may
    be lost. For example, a proxy would then turn a 404 into a 502.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # A larger body was refused, and is never read.
        if _length(request) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            with suppress(UnreadablePostError):
                while request.read(CHUNK):
                    pass
        return response


class ClientMiddleware(Middleware):
    """Sets the IP address and scheme of a request to the values that trusted proxies report.

    The reported values are the IP address of the client, and the scheme of its connection to the
    proxy. All later code can rely on ``REMOTE_ADDR`` and on the scheme of the request, because the
    headers of peers that are not trusted proxies are ignored (ASVS 4.1.3).
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        ip, scheme = behind_proxies(request.META, settings.AUTHSITE.trusted_proxies)
        # Forward authentication accepts only trusted peers (``accounts.oauth.forward``).
        request.META["authsite.peer"] = request.META.get("REMOTE_ADDR", "")
        request.META["REMOTE_ADDR"] = ip
        if scheme == "https":
            # WSGI and ASGI store the scheme in different places.
            request.META["wsgi.url_scheme"] = "https"
            getattr(request, "scope", {})["scheme"] = "https"
        return self.get_response(request)


class GateMiddleware(Middleware):
    """Refuses requests that the site does not serve, with status 400, 405, 413 or 503.

    A URL that contains an API key or a client secret is refused, because URLs are stored in
    histories, logs and referrers (ASVS 14.2.1).
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in METHODS:
            return refuse(request, HttpResponseNotAllowed(METHODS))
        # Django does not read a body without a length, so a view would see an empty body.
        if _has_unmeasured_body(request.META):
            return refuse(request, HttpResponse("A body needs a Content-Length.", status=400))
        # Large files are refused here, too. Django would store them before a view can refuse them,
        # and no form accepts large files.
        most = LARGEST_CALL if is_call(request) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if _length(request) > most:
            return refuse(request, HttpResponse(status=413))
        # Monitoring may use the IP address of a node as the host. This is safe, because these
        # responses contain no links.
        if not request.path_info.startswith(WATCHED):
            _check_host(request.META.get("HTTP_HOST"))
            # This raises DisallowedHost. CommonMiddleware checks the host of pages, but not of API
            # calls.
            request.get_host()
            if health.is_waiting():
                raise OperationalError("waiting for migrations")
        if PATTERN.search(unquote(request.get_full_path()).lower()):
            return refuse(request, HttpResponse("A key has no place in an address.", status=400))
        return self.get_response(request)


def _length(request: HttpRequest) -> float:
    """Return the Content-Length in bytes, or infinity if it has too many digits or is invalid."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() and len(length) <= LONGEST_LENGTH else inf


def _has_unmeasured_body(meta: dict[str, Any]) -> bool:
    """Return whether the request has a body without a Content-Length.

    In HTTP/1.1, the header Transfer-Encoding announces such a body (RFC 9112 section 6.3). In
    HTTP/2, it can be detected only by reading a byte.
    """
    if "HTTP_TRANSFER_ENCODING" in meta:
        return True
    is_later = not meta.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    is_read = not meta.get("CONTENT_LENGTH") and "wsgi.input" in meta
    return is_later and is_read and bool(meta["wsgi.input"].read(1))


def _check_host(host: str | None) -> None:
    """Require a valid Host header.

    Django accepts an invalid port, such as one above 65535, but fails when it parses the URL later.

    Raises:
        DisallowedHost: the header ``host`` is invalid.
    """
    if host is None:
        return
    match = HOST.fullmatch(host)
    if not match or int(match[1] or 0) > LARGEST_PORT:
        raise DisallowedHost("Invalid Host header.")


class CombinedMailsMiddleware(Middleware):
    """Combines the events of a request, so that they cause one email to each address."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with combine_mails():
            return self.get_response(request)


class ApiMiddleware(Middleware):
    """Handles API calls without passing them to the middleware for browsers.

    Session cookies are not read, so that a page of another site cannot call the API as the user of
    the browser (ASVS 3.5.1). Without the other middleware, calls are also faster.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Caches store one copy of the public keys and of these files for all clients, so the
        # response must not depend on the session or the language of the client.
        is_public = request.path_info == PUBLIC_KEYS or request.path_info.startswith(FILES)
        if not is_call(request) and not is_public:
            return self.get_response(request)
        translation.activate(translation.get_language_from_request(request))
        with own_levels() as levels:
            response = self._answer(request)
        for name, value in rate_limit_headers(levels).items():
            response.headers[name] = value
        dpop.complete(request, response)
        # The public keys and these files, which any cache may store, have no language.
        if "public" not in response.get("Cache-Control", ""):
            response.setdefault("Content-Language", spoken())
            patch_vary_headers(response, ["Accept-Language"])
        if not response.streaming:
            response["Content-Length"] = str(len(response.content))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return api_refusal(request, 404, _missing_slash(request.path_info))
        request.resolver_match = match
        if FAILED in request.META:
            raise request.META[FAILED]
        view = getattr(match.func, "cls", None)
        method = "GET" if request.method == "HEAD" else str(request.method)
        # A view without this method responds with 405.
        is_call = request.path_info.startswith(API) and hasattr(view, method.lower())
        if is_call and (errors := faults_of(request.GET, view, method)):
            return JsonResponse(fields_body(errors), status=400)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        if isinstance(response, SimpleTemplateResponse):
            response = response.render()
        return response


def _missing_slash(path: str) -> str:
    """Return an error sentence if ``path`` lacks only its final slash, else an empty string.

    The client is not redirected, because many clients would repeat a POST as a GET without a body.
    """
    try:
        resolve(f"{path}/")
    except Resolver404:
        return ""
    return _("The path must end with a slash.")


class LocaleMiddleware(Middleware):
    """Activates the language and time zone of the signed-in user.

    Without a user, or if the user has chosen no language, it activates the browser's language.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        # The locale stays active after the view, because a streamed response is rendered later.
        request_finished.connect(_forget_locale)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = getattr(request.user, "language", "")
        translation.activate(language or translation.get_language_from_request(request))
        timezone.activate(zone(getattr(request.user, "time_zone", "UTC")))
        response = self.get_response(request)
        response.setdefault("Content-Language", spoken())
        patch_vary_headers(response, ["Accept-Language"])
        return response


def _forget_locale(**_more: object) -> None:
    # The next request of the thread may be refused before its own locale is activated.
    translation.deactivate()
    timezone.deactivate()


class PublicErrorMiddleware(Middleware):
    """Converts a :class:`PublicError` that a view has raised to a page."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = as_public_error(exception)
        return public_error(request, error) if error else None


PATHS = {"/.well-known/jwks.json"}
if settings.AUTHSITE.openid_provider == "on":
    PATHS |= {
        *("/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/register"),
        *("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
        "/.well-known/oauth-protected-resource",
    }
EXPOSED = "dpop-nonce, retry-after, www-authenticate"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type, dpop",
    "Access-Control-Max-Age": "600",
}


class PublicCorsMiddleware(Middleware):
    """Answers preflight requests, and adds the header that lets scripts read the responses."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in PATHS:
            return self.get_response(request)
        is_preflight = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META
        if request.method == "OPTIONS" and is_preflight:
            response = HttpResponse(status=204, headers=PREFLIGHT)
        else:
            response = self.get_response(request)
            response["Access-Control-Expose-Headers"] = EXPOSED
        response["Access-Control-Allow-Origin"] = "*"
        return response
