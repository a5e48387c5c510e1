"""Our own middleware: headers on every answer, who is asking, and errors that are words."""

import re
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, resolve
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from accounts.apikeys.text import PATTERN
from accounts.common.client_ip import client_ip, parse, trusts
from accounts.common.errors import PublicError
from accounts.common.languages import spoken
from accounts.common.time_zones import zone
from authsite.errors import api_refusal, is_call, public_error, refuse

type GetResponse = Callable[[HttpRequest], HttpResponse]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HOST = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
LARGEST_PORT = 65535
CHUNK = 65536
# Bytes of a call's body. Parsing 2.5 MB takes a quarter of a second of the processor, before any
# limit applies.
LARGEST_CALL = 65536
# Digits of a Content-Length; Python reads no number of thousands of them.
LONGEST_LENGTH = 18
PUBLIC_KEYS, BRAND = "/.well-known/jwks.json", "/brand/"
WATCHED = ("/health/", "/metrics")


class HeadersMiddleware:
    """The headers that no Django setting gives, also on errors, redirects and static files."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with them."""
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # Whatever doesn't say that it may be kept, may not: nothing shows after sign-out.
        response.setdefault("Cache-Control", "no-store")
        if _is_everybodys(request.META.get("HTTP_HOST", "")):
            del response["Strict-Transport-Security"]
        # In place of the server program's own name (ASVS 13.4.6).
        response["Server"] = "web"
        # Where a page has no script there is no nonce, and this word alone is no valid policy.
        if policy := response.headers.get("Content-Security-Policy"):
            response.headers["Content-Security-Policy"] = policy.replace(
                "script-src 'strict-dynamic'", "script-src 'none'"
            )
        return response


def _is_everybodys(host: str) -> bool:
    """Whether other sites have this name, too: ``localhost``, or an address.

    HSTS there would keep a developer's browser from all of them, on every port, for a year.
    """
    name = re.sub(r":[0-9]*$", "", host)
    return name.lower().rstrip(".") == "localhost" or parse(name) is not None


class BodyMiddleware:
    """Answers once the body is read, also where nothing has looked at it.

    A server that closes on bytes which it hasn't read resets the connection, and the answer may be
    lost with it: a proxy would then make a 502 of a 404.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and read on; not what is too large to be read at all."""
        response = self.get_response(request)
        if _length(request) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            with suppress(UnreadablePostError):
                while request.read(CHUNK):
                    pass
        return response


class ClientMiddleware:
    """Finds out whose request it is, as far as trusted proxies vouch for it (ASVS 4.1.3).

    ``REMOTE_ADDR`` becomes the client's address and the scheme the client's; everything behind
    this may believe both.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Believe a trusted proxy, ignore anybody else."""
        peer = parse(request.META.setdefault("REMOTE_ADDR", ""))
        proxies = settings.AUTHSITE.trusted_proxies
        if peer is not None and trusts(peer, proxies):
            forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
            request.META["REMOTE_ADDR"] = str(client_ip(peer, forwarded, proxies))
            if request.META.get("HTTP_X_FORWARDED_PROTO") == "https":
                # Where WSGI has the scheme, and where ASGI has it.
                request.META["wsgi.url_scheme"] = "https"
                getattr(request, "scope", {})["scheme"] = "https"
        return self.get_response(request)


class GateMiddleware:
    """Lets in what is a request for this site."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Refuse with 400, 405 or 413, or pass on.

        Addresses are kept in histories, logs and referrers: no key is taken out of one (ASVS
        14.2.1).
        """
        if request.method not in METHODS:
            return refuse(request, HttpResponseNotAllowed(METHODS))
        # Without a length Django reads nothing: a call would be answered as if nothing was asked.
        if _has_unmeasured_body(request.META):
            return refuse(request, HttpResponse("A body needs a Content-Length.", status=400))
        # Files are stored before any view could refuse them, and no form takes one.
        most = LARGEST_CALL if is_call(request) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if _length(request) > most:
            return refuse(request, HttpResponse(status=413))
        # Whoever watches a node asks for it by its address; its answers have no link.
        if not request.path_info.startswith(WATCHED):
            _check_host(request.META.get("HTTP_HOST"))
            # Raises for a name that isn't ours: for pages others ask, for calls nobody would.
            request.get_host()
        if PATTERN.search(unquote(request.get_full_path()).lower()):
            return refuse(request, HttpResponse("A key has no place in an address.", status=400))
        return self.get_response(request)


def _length(request: HttpRequest) -> float:
    """Return how many bytes the body has; infinity if that is not said in a few digits."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() and len(length) <= LONGEST_LENGTH else inf


def _has_unmeasured_body(meta: dict[str, Any]) -> bool:
    """In HTTP/1.1 a header says so (RFC 9112 section 6.3), in HTTP/2 only a look does."""
    if "HTTP_TRANSFER_ENCODING" in meta:
        return True
    is_later = not meta.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    is_read = not meta.get("CONTENT_LENGTH") and "wsgi.input" in meta
    return is_later and is_read and bool(meta["wsgi.input"].read(1))


def _check_host(host: str | None) -> None:
    """Django checks the name; a port beyond 65535 would later fail in its URL parser."""
    if host is None:
        return
    match = HOST.fullmatch(host)
    if not match or int(match[1] or 0) > LARGEST_PORT:
        raise DisallowedHost("Invalid Host header.")


class ApiMiddleware:
    """The end of the way for programs: no session, no cookie, no form is looked at for them.

    So no page elsewhere can make a browser call the API as its owner (ASVS 3.5.1), and a call
    costs what it needs.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a call in the language that it asks for; pass everything else on."""
        if not is_call(request) and not _reads_public_file(request):
            return self.get_response(request)
        translation.activate(translation.get_language_from_request(request))
        response = self._answer(request)
        # What everybody may keep, public keys and the brand's files, is in no language.
        if "public" not in response.get("Cache-Control", ""):
            response.setdefault("Content-Language", spoken())
            patch_vary_headers(response, ["Accept-Language"])
        response["Content-Length"] = str(len(response.content))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return api_refusal(404, _missing_slash(request.path_info))
        request.resolver_match = match
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        if isinstance(response, SimpleTemplateResponse):
            response = response.render()
        return response


def _reads_public_file(request: HttpRequest) -> bool:
    """Return whether the public keys or a file of the brand is requested.

    Caches keep them for everyone: a session's cookie or language would make them vary.
    """
    is_public = request.path_info == PUBLIC_KEYS or request.path_info.startswith(BRAND)
    return is_public and request.method in {"GET", "HEAD"}


def _missing_slash(path: str) -> str:
    """Return a sentence if nothing but the final slash is missing to ``path``; else nothing.

    No redirect: many clients would repeat a POST as a GET, without its body.
    """
    try:
        resolve(f"{path}/")
    except Resolver404:
        return ""
    return _("The address of this call ends with a slash.")


class LocaleMiddleware:
    """Answers in the language and time zone of who is signed in; others' browsers say which."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        # Not behind the view: a file that is streamed is written later.
        request_finished.connect(_forget_locale)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer so, and say in which language."""
        language = getattr(request.user, "language", "")
        translation.activate(language or translation.get_language_from_request(request))
        timezone.activate(zone(getattr(request.user, "time_zone", "UTC")))
        response = self.get_response(request)
        response.setdefault("Content-Language", spoken())
        patch_vary_headers(response, ["Accept-Language"])
        return response


def _forget_locale(**_more: object) -> None:
    """The thread's next request is somebody else's, and may be refused before its own is known."""
    translation.deactivate()
    timezone.deactivate()


class PublicErrorMiddleware:
    """Turns a :class:`PublicError` that reaches the surface into its page."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The page of a public error; anything else is a fault and goes on to the 500 page."""
        if isinstance(exception, PublicError):
            return public_error(request, exception)
        return None
