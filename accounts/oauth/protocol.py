"""The parameters of OAuth requests, and their responses and errors.

The middleware removes cookies from requests to endpoints for programs. Therefore a page of another
site cannot use the session of the browser that shows it.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict

from accounts.common.errors import PublicError, RateLimited
from accounts.tokens.dpop import InvalidDpopProof
from accounts.tokens.errors import InvalidToken

# The maximum length of a parameter's value, in bytes of UTF-8. In the redirect to an app, ``state``
# takes up to three times as many, and proxies must accept a header of that length.
LONGEST = 8192


class OAuthError(Exception):
    """A request is refused with an error code of OAuth (RFC 6749 sections 4.1.2.1 and 5.2).

    ``error``: the error code.
    ``description``: a sentence for the developer of the client, in ASCII and without quotes.
    ``status``, ``headers``: the HTTP status and headers, if the client is not redirected.
    """

    def __init__(
        self,
        error: str,
        description: str = "",
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.error, self.description = error, description
        self.status, self.headers = status, headers or {}


def is_acceptable(value: str) -> bool:
    """Return whether ``value`` is short enough for a parameter, and has no control characters."""
    return value.isprintable() and len(value.encode()) <= LONGEST


def parameters(data: QueryDict) -> dict[str, str]:
    """Return the parameters in ``data`` that have a value (RFC 6749 section 3.1).

    Raises:
        OAuthError: a parameter is repeated, or its value is too long or has control characters.
    """
    found: dict[str, str] = {}
    for name, values in data.lists():
        if len(values) > 1:
            raise OAuthError("invalid_request", "A parameter is repeated.")
        if not is_acceptable(values[0]):
            raise OAuthError(
                "invalid_request", "A parameter is too long or has control characters."
            )
        if values[0]:
            found[name] = values[0]
    return found


FORM = "application/x-www-form-urlencoded"
BASIC = 'Basic realm="oauth", charset="UTF-8"'


class TokenMissing(InvalidToken):
    """The app has sent no credentials, so the response has no error code (RFC 6750 section 3)."""

    www_authenticate = PublicError.www_authenticate


type View = Callable[[HttpRequest], HttpResponse]
type Endpoint = Callable[[HttpRequest, dict[str, str]], HttpResponse]


def answers(*methods: str) -> Callable[[View], View]:
    """Decorate a view that accepts only ``methods``.

    An OAuth error that the view raises becomes the response (RFC 6749 section 5.2, RFC 6750 section
    3).
    """

    def decorate(view: View) -> View:
        @login_not_required
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            try:
                if request.method not in methods:
                    sentence, allow = f"Use {' or '.join(methods)}.", {"Allow": ", ".join(methods)}
                    raise OAuthError("invalid_request", sentence, status=405, headers=allow)
                return view(request)
            except OAuthError as error:
                return _problem(request, error)
            except (InvalidDpopProof, InvalidToken, RateLimited) as error:
                return _problem(request, translated(error))

        return answer

    return decorate


def endpoint(view: Endpoint) -> View:
    """Decorate a view of an endpoint that accepts POST requests with a form.

    The view is called with the request and a dict of the parameters in the form.
    """

    @answers("POST")
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        return view(request, form_of(request))

    return answer


def _problem(request: HttpRequest, error: OAuthError) -> HttpResponse:
    described = {"error_description": error.description} if error.description else {}
    headers = {**error.headers}
    authorization = request.META.get("HTTP_AUTHORIZATION", "").lower()
    if error.status == HTTPStatus.UNAUTHORIZED and authorization.startswith("basic "):
        headers.setdefault("WWW-Authenticate", BASIC)
    body = {"error": error.error} | described
    return JsonResponse(body, status=error.status, headers=headers)


def translated(error: PublicError) -> OAuthError:
    """Return the OAuth error that corresponds to ``error``."""
    if isinstance(error, InvalidDpopProof):
        return OAuthError(error.code, error.problem)
    if isinstance(error, RateLimited):
        sentence = "Too many requests, or the site is busy. Wait before you try again."
        wait = {"Retry-After": str(error.retry_after)}
        return OAuthError("temporarily_unavailable", sentence, status=error.status, headers=wait)
    sentence = "The token is missing, malformed, expired, revoked or for something else."
    headers = {"WWW-Authenticate": error.www_authenticate}
    return OAuthError("invalid_token", sentence, status=401, headers=headers)


def form_of(request: HttpRequest) -> dict[str, str]:
    """Return the parameters in the body of ``request``.

    Raises:
        OAuthError: the body is not a form, a parameter is repeated, or the URL has parameters,
            which logs would store (RFC 6749 section 2.3.1).
    """
    if request.content_type != FORM or request.META.get("QUERY_STRING"):
        raise OAuthError("invalid_request", f"Send the parameters in the body, as {FORM}.")
    try:
        return parameters(request.POST)
    except (RequestDataTooBig, TooManyFieldsSent):
        raise OAuthError("invalid_request", "There are too many parameters.") from None


def required(sent: Mapping[str, str], name: str) -> str:
    """Return the value of the parameter ``name``.

    Raises:
        OAuthError: the parameter is missing.
    """
    if name not in sent:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return sent[name]


def success(body: dict[str, Any], status: int = 200) -> HttpResponse:
    """Return a response with ``body`` as JSON, which must not be cached (RFC 6749 section 5.1)."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return JsonResponse(body, status=status, headers=headers)
