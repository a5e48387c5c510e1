"""Error pages: what happened, and what to do next."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string

from accounts.kernel.errors import Later, PublicError
from accounts.kernel.links import safe_next


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400. A sign-in that was ended while the request was on its way is no fault of the client."""
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
    """500. Without the request's context: whatever failed might fail again there."""
    context: dict[str, Any] = {"site_name": settings.AUTHSITE.site_name}
    return HttpResponse(render_to_string("500.html", context), status=500)


def public_error(request: HttpRequest, error: PublicError) -> HttpResponse:
    """A :class:`PublicError` that no view has dealt with: its own sentence and status."""
    if not isinstance(error, Later):
        return render(request, "refused.html", {"sentence": str(error)}, status=error.status)
    context = {"retry_after": error.retry_after}
    response = render(request, "429.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after)
    return response
