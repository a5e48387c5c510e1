"""The parameters of OAuth requests, and the answers and errors that they get.

The middleware passes no cookie to endpoints for programs, so a page of another site cannot use the
session of the browser that it is open in.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict

from accounts.common.errors import RateLimited
from accounts.tokens.dpop import InvalidDpopProof

# The longest value of a parameter, in bytes of UTF-8. In the redirect to an app, ``state`` takes up
# to three times as many, and proxies must accept a header of that length.
LONGEST = 8192


class OAuthError(Exception):
    """A request is refused with an error code of OAuth (RFC 6749 sections 4.1.2.1 and 5.2).

    ``error``: the code.
    ``description``: a sentence for the developer of the client, in ASCII and without quotes.
    ``status``: the HTTP status, if the client is not redirected.
    """

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


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

_SENTENCES = {
    "invalid_token": "The token is missing, malformed, expired, revoked or for something else.",
    "insufficient_scope": "The token was not granted for this.",
    "invalid_dpop_proof": "Send a new DPoP proof for this request.",
    "use_dpop_nonce": "Send a new DPoP proof for this request, with the nonce of DPoP-Nonce.",
}

type Endpoint = Callable[[HttpRequest, dict[str, str]], HttpResponse]


def endpoint(view: Endpoint) -> Callable[[HttpRequest], HttpResponse]:
    """Decorate a view that takes a request and its parameters, which come as a form by POST.

    An :class:`OAuthError` that the view raises becomes its answer (RFC 6749 section 5.2).
    """

    @login_not_required
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return not_allowed("POST")
        return answered(request, lambda: view(request, form_of(request)))

    return answer


def answered(request: HttpRequest, act: Callable[[], HttpResponse]) -> HttpResponse:
    """Return what ``act`` returns, or the answer to the error that it raises."""
    try:
        return act()
    except OAuthError as error:
        response = problem(error.error, error.description, error.status)
        if error.status == HTTPStatus.UNAUTHORIZED and uses_basic(request):
            response["WWW-Authenticate"] = BASIC
    except InvalidDpopProof as error:
        sentence = "Send a new DPoP proof for this request, with the nonce of DPoP-Nonce."
        response = problem(error.code, sentence, 400)
    except RateLimited as error:
        sentence = "Too many requests, or the site is busy. Wait before you try again."
        response = problem("temporarily_unavailable", sentence, error.status)
        response["Retry-After"] = str(error.retry_after)
    return response


def form_of(request: HttpRequest) -> dict[str, str]:
    """Return the parameters in the body of ``request``.

    Raises:
        OAuthError: the body is no form, a parameter is repeated, or the URL has parameters, which
            logs would store (RFC 6749 section 2.3.1).
    """
    if request.content_type != FORM or request.META.get("QUERY_STRING"):
        raise OAuthError("invalid_request", f"Send the parameters in the body, as {FORM}.")
    try:
        return parameters(request.POST)
    except (RequestDataTooBig, TooManyFieldsSent):
        raise OAuthError("invalid_request", "There are too many parameters.") from None


def required(sent: dict[str, str], name: str) -> str:
    """Return the parameter ``name``.

    Raises:
        OAuthError: it is missing.
    """
    if name not in sent:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return sent[name]


def uses_basic(request: HttpRequest) -> bool:
    """Return whether the client authenticates by HTTP Basic."""
    return str(request.META.get("HTTP_AUTHORIZATION", "")).lower().startswith("basic ")


def success(body: dict[str, Any]) -> HttpResponse:
    """Return ``body`` as JSON, which no cache stores (RFC 6749 section 5.1)."""
    return JsonResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def problem(error: str, description: str, status: int) -> HttpResponse:
    """Return an error as JSON."""
    body = {"error": error} | ({"error_description": description} if description else {})
    return JsonResponse(body, status=status)


def refusal(challenge: str, error: str, status: int) -> HttpResponse:
    """Return an error about the token of the request (RFC 6750 section 3)."""
    response = problem(error, _SENTENCES[error], status)
    response["WWW-Authenticate"] = challenge
    return response


def not_allowed(*methods: str) -> HttpResponse:
    """Return status 405 for a method other than ``methods``."""
    response = problem("invalid_request", f"Use {' or '.join(methods)}.", 405)
    response["Allow"] = ", ".join(methods)
    return response
