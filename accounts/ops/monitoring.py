"""Views for monitoring: liveness, readiness and metrics."""

from hmac import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.common import metrics
from accounts.ops import health

RETRY_AFTER = 5


@login_not_required
@require_safe
def live(_request: HttpRequest) -> HttpResponse:
    """Return status 200 without any check: the response itself shows that the process runs."""
    return JsonResponse({"process": health.OK})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Return the results of the health checks, with status 503 if one has failed.

    The page is public, so the names of the checks do not reveal which software is used.
    """
    found = health.inspect()
    if health.is_ready(found):
        return JsonResponse(found)
    return JsonResponse(found, status=503, headers={"Retry-After": str(RETRY_AFTER)})


@login_not_required
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Return the metrics to clients that send ``METRICS_TOKEN``, and status 404 to all others.

    Clients with a loopback IP address need the token, too. If a proxy on the same host sends no
    forwarding header, every client seems to have such an address.
    """
    given = request.headers.get("Authorization", "").encode()
    token = settings.AUTHSITE.metrics_token
    if not token or not compare_digest(given, f"Bearer {token}".encode()):
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    health.inspect()
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
