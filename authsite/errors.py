"""Error responses: a page for people, JSON for programs.

If a form fails the CSRF check, because its page was open for too long, the page is shown again with
the typed text, except for passwords.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    QueryDict,
)
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from accounts.common import database, logs, pages
from accounts.common.errors import PublicError, RateLimited
from accounts.common.pages import safe_next
from accounts.scim import protocol
from accounts.sessions.current import known_user_id
from accounts.users.services import AccountChanged

# By the name of the URL, including its namespace: the pages that are shown again with the typed
# text. Without the namespace, an app of the operator could have the same names.
REOPENED = {
    *("account_login", "account_signup", "login_code", "account_reset_password"),
    *("account_logout", "account_email", "profile", "api_key_new"),
}


def reopened(request: HttpRequest) -> HttpResponseBase | None:
    """Return the page whose form failed the CSRF check, filled in, or None if it cannot be shown.

    The person must press the button of this page before anything is sent. A form of another site is
    not shown, because its page would get a valid token and could choose the values.
    """
    match = request.resolver_match
    is_ours = request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
    if match is None or match.view_name not in REOPENED or not is_ours:
        return None
    # This runs before the middleware that requires a sign-in.
    if not request.user.is_authenticated and getattr(match.func, "login_required", True):
        return None
    pages.note_typed(request, request.POST)
    next_url = safe_next(request.POST.get("next"))
    request.method, request.POST = "GET", QueryDict(urlencode({"next": next_url}))
    sentence = _(
        "This page was open for too long, so nothing was sent. Check the form, then send it."
    )
    messages.warning(request, sentence)
    response = match.func(request, *match.args, **match.kwargs)
    if response.status_code == HTTPStatus.OK:
        response.status_code = HTTPStatus.FORBIDDEN
    return response


# The endpoints of OAuth and OpenID Connect for programs. Other URLs of ``/oauth/`` are pages.
ENDPOINTS = (
    *("/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/introspect", "/oauth/userinfo"),
    *("/oauth/device_authorization", "/oauth/register"),
    *("/.well-known/openid-configuration", "/.well-known/oauth-"),
)
API, FORWARD, SCIM = "/api/", "/auth/forward", "/scim/"
# The paths whose clients are programs: the API, OAuth, proxies, directories, health checks and
# metrics.
MACHINES = (API, *ENDPOINTS, FORWARD, SCIM, "/health/", "/metrics")
# The key in ``request.META`` of a database error that occurred before Django got the request. The
# middleware raises it, so that the client need not wait for the same error again.
FAILED = "authsite.failed"
# The ``detail`` of API errors while the database cannot be used.
UNREACHABLE = _("The database can’t be reached.")
DISK_FULL = _("The site can’t store anything at the moment.")
# The ``detail`` of API errors that occur before or outside of a view.
SENTENCES: dict[int, str | Promise] = {
    400: _("The request is malformed, or isn’t meant for this site."),
    404: _("There’s nothing at this URL."),
    405: _("No URL of this site has this method."),
    413: _("The body is too large."),
}
# Seconds after which a client should try again when the database is unavailable.
RETRY_AFTER = 5
# Error codes that replace Python's names of these statuses, which may change.
CODES = {413: "content_too_large", 503: "unavailable"}
# The errors of OAuth endpoints with these statuses (RFC 6749 section 4.1.2.1).
OAUTH_ERRORS = {500: "server_error", 503: "temporarily_unavailable"}


def is_call(request: HttpRequest) -> bool:
    """Return whether the client is a program, which gets JSON instead of a page."""
    return request.path_info.startswith(MACHINES)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a bad request: status 400.

    If the session was revoked during the request, the browser is redirected to the sign-in page
    instead.
    """
    if is_call(request):
        return api_refusal(request, 400)
    if isinstance(exception, SessionInterrupted):
        return redirect("account_login")
    return render(request, "400.html", status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Return the page for a form that fails the CSRF check: status 403."""
    if page := reopened(request):
        return page
    context = {"again": safe_next(request.path) or "/"}
    return render(request, "403_csrf.html", context, status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an unexpected error: status 500, or 503 if the database has failed.

    The page is rendered without context processors, because one of them may have failed.
    """
    error = sys.exception()
    status = 503 if error and database.is_outage(error) else 500
    if is_call(request):
        response = api_refusal(request, status, _outage_detail(error) if status == 503 else "")
    else:
        context: dict[str, Any] = {
            "site_name": settings.AUTHSITE.site_name,
            "is_disk_full": database.is_disk_full(error),
            "user_id": known_user_id(request),
        }
        response = HttpResponse(render_to_string("500.html", context), status=status)
    if error and status == 503:
        response["Retry-After"] = str(RETRY_AFTER)
        database.report(error)
        # Django would log the same error again, with a traceback.
        setattr(response, "_has_been_logged", True)  # noqa: B010 its type does not have it
    return response


def _outage_detail(error: BaseException | None) -> str | Promise:
    return DISK_FULL if database.is_disk_full(error) else UNREACHABLE


def as_public_error(error: Exception) -> PublicError | None:
    """Return ``error`` as a :class:`PublicError`, or None if it does not correspond to one.

    If a row cannot be stored because a referenced row is gone, the account was erased meanwhile.
    """
    if database.is_reference_gone(error):
        return AccountChanged()
    return error if isinstance(error, PublicError) else None


def public_error(request: HttpRequest, error: PublicError) -> HttpResponse:
    """Return the page, with its status, for a :class:`PublicError` that a view has raised."""
    if not isinstance(error, RateLimited):
        refusal = {"sentence": str(error), "code": error.code}
        return render(request, "refused.html", refusal, status=error.status)
    context = {
        "retry_after": error.retry_after,
        "at": error.retry_at,
        "again": safe_next(request.path),
    }
    response = render(request, "429.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after)
    return response


def refuse(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the error response ``response``; for programs, with JSON as its body."""
    if is_call(request):
        body = api_refusal(request, response.status_code)
        response.content, response["Content-Type"] = body.content, body["Content-Type"]
    return response


def api_refusal(request: HttpRequest, status: int, detail: str | Promise = "") -> HttpResponse:
    """Return a JSON error with the status ``status``, for a request that reaches no API view.

    Endpoints of OAuth and of SCIM have their own error formats (RFC 6749 section 5.2).
    """
    reason = HTTPStatus(status)
    if request.path_info.startswith(ENDPOINTS):
        error = OAUTH_ERRORS.get(status, "invalid_request")
        # The description is in English, because the format allows only ASCII.
        return JsonResponse(
            {"error": error, "error_description": f"{reason.phrase}."}, status=status
        )
    if request.path_info.startswith(SCIM):
        body = protocol.error_body(status, reason.phrase)
        return JsonResponse(body, status=status, content_type=protocol.MEDIA_TYPE)
    # The middleware may have refused the request before activating the language.
    with translation.override(language(request.META.get("HTTP_ACCEPT_LANGUAGE", ""))):
        sentence = detail or SENTENCES.get(status, PublicError.message)
        body = error_body(sentence, CODES.get(status, reason.name.lower()))
    return JsonResponse(body, status=status)


@lru_cache(256)
def language(accepted: str) -> str:
    """Return the language of the response to a program with this ``Accept-Language``."""
    request = HttpRequest()
    request.META = {"HTTP_ACCEPT_LANGUAGE": accepted}
    return translation.get_language_from_request(request)


def error_body(detail: str | Promise, code: str) -> dict[str, Any]:
    """Return the body of an API error that is not about fields."""
    return {"detail": str(detail), "code": code, "request_id": logs.REQUEST_ID.get()}


def fields_body(errors: Any) -> dict[str, Any]:
    """Return the body of an API error about fields.

    ``errors``: the errors of REST framework: lists by the names of the fields, or a list. For older
        clients, each field is also a member of the body. ``detail`` and ``code`` are left out,
        because fields can have these names.
    """
    if isinstance(errors, list):
        errors = {api_settings.NON_FIELD_ERRORS_KEY: errors}
    listed = [
        {"field": field, "code": error.code, "detail": str(error)} for field, error in _flat(errors)
    ]
    return {**errors, "errors": listed, "request_id": logs.REQUEST_ID.get()}


def _flat(errors: Any, path: str = "") -> Iterator[tuple[str, ErrorDetail]]:
    """Yield each error with the name of its field; names of nested fields are joined by dots."""
    if isinstance(errors, ErrorDetail):
        yield path, errors
        return
    is_named = isinstance(errors, Mapping)
    for key, below in errors.items() if is_named else enumerate(errors):
        is_nested = is_named or not isinstance(below, ErrorDetail)
        yield from _flat(below, f"{path}.{key}".lstrip(".") if is_nested else path)


def api_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an exception in an API view, or None for an unexpected exception.

    The body has ``detail`` and ``code``, or the errors of each field. If the result is None, REST
    framework raises the exception again, and Django logs it.
    """
    if public := as_public_error(error):
        return _api_public_error(public)
    if database.is_outage(error):
        database.report(error)
        body = error_body(_outage_detail(error), CODES[503])
        return Response(body, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    if isinstance(error, Http404):
        # Its text is in English, and names the model.
        error = NotFound()
    response = exception_handler(error, context)
    if response is not None:
        # REST framework converts Django's exceptions to its own, so ``error`` may be another one.
        if isinstance(error, ValidationError):
            response.data = fields_body(response.data)
        else:
            detail = response.data["detail"]
            response.data = error_body(detail, str(detail.code))
    return response


def body_of(error: PublicError) -> dict[str, Any]:
    """Return the body of the API response for ``error``."""
    return error_body(str(error), error.code) | getattr(error, "more", {})


def _api_public_error(error: PublicError) -> Response:
    response = Response(body_of(error), status=error.status)
    if isinstance(error, RateLimited):
        response["Retry-After"] = str(error.retry_after)
    if error.status == 401 or error.www_authenticate != PublicError.www_authenticate:
        response["WWW-Authenticate"] = error.www_authenticate
    return response
