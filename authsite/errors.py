"""Errors: what happened, and what to do next; a page for people, JSON for programs."""

import sys
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.common import clock
from accounts.common.errors import Later, PublicError
from accounts.common.links import safe_next

# Where programs ask: calls, whether the site is well, its figures.
MACHINES = ("/api/", "/health/", "/metrics")
# Seconds after which a call is worth another try when the database is away.
RETRY_AFTER = 5
# Codes are for ever; Python's name of this status isn't.
CODES = {413: "content_too_large", 503: "unavailable"}


def is_call(request: HttpRequest) -> bool:
    """Whether a program asks, and so wants JSON."""
    return request.path_info.startswith(MACHINES)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400. A sign-in that was ended while the request was on its way is no fault of the client."""
    if is_call(request):
        return api_refusal(400)
    if isinstance(exception, SessionInterrupted):
        return redirect("account_login")
    return render(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that is too old or comes from elsewhere; the reason is for the log only.

    What this site's own page has sent comes back to be sent again, passwords aside. A foreign
    page's form must not: one click would then do what the check has just stopped.
    """
    context: dict[str, Any] = {"again": safe_next(request.path) or "/"}
    if request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}":
        context["kept"] = [
            (name, value)
            for name, value in request.POST.items()
            if "password" not in name and name != "csrfmiddlewaretoken"
        ]
    return render(request, "403_csrf.html", context, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the database has failed, which is worth another try.

    Without the request's context: whatever failed might fail again there.
    """
    status = 503 if isinstance(sys.exception(), OperationalError | InterfaceError) else 500
    if is_call(request):
        response = api_refusal(status)
    else:
        context: dict[str, Any] = {"site_name": settings.AUTHSITE.site_name}
        response = HttpResponse(render_to_string("500.html", context), status=status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER)
    return response


def public_error(request: HttpRequest, error: PublicError) -> HttpResponse:
    """A :class:`PublicError` that no view has dealt with: its own sentence and status."""
    if not isinstance(error, Later):
        return render(request, "refused.html", {"sentence": str(error)}, status=error.status)
    context = {
        "retry_after": error.retry_after,
        "at": clock.now() + timedelta(seconds=error.retry_after),
        "again": safe_next(request.path),
    }
    response = render(request, "429.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after)
    return response


def refuse(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """``response``, which has no body, with one in JSON for a program."""
    if is_call(request):
        body = api_refusal(response.status_code)
        response.content, response["Content-Type"] = body.content, body["Content-Type"]
    return response


def api_refusal(status: int, detail: str = "") -> HttpResponse:
    """An error of the API before, or without, a call that could tell more."""
    reason = HTTPStatus(status)
    body = {"detail": detail or f"{reason.phrase}.", "code": CODES.get(status, reason.name.lower())}
    return JsonResponse(body, status=status)


def api_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """What a call that has failed answers: ``detail`` and ``code``, or what is wrong by field.

    None for a fault of ours, which goes on to be logged.
    """
    if isinstance(error, PublicError):
        return _api_public_error(error)
    if isinstance(error, OperationalError | InterfaceError):
        body = {"detail": "The database can’t be reached.", "code": "unavailable"}
        return Response(body, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    response = exception_handler(error, context)
    if response is not None and set(response.data) == {"detail"}:
        response.data["code"] = getattr(response.data["detail"], "code", "error")
    return response


def _api_public_error(error: PublicError) -> Response:
    body = {"detail": str(error), "code": error.code, **getattr(error, "more", {})}
    response = Response(body, status=error.status)
    if isinstance(error, Later):
        response["Retry-After"] = str(error.retry_after)
    if error.status == 401 or error.challenge != PublicError.challenge:
        response["WWW-Authenticate"] = error.challenge
    return response
