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
    """Answer that the process runs, without any check."""
    return JsonResponse({"process": health.OK})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Return the results of the health checks, with status 503 if one has failed.

    Anyone may ask, so the names of the checks do not reveal the software.
    """
    found = health.inspect()
    if health.is_ready(found):
        return JsonResponse(found)
    return JsonResponse(found, status=503, headers={"Retry-After": str(RETRY_AFTER)})


@login_not_required
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Return the metrics to clients that send ``METRICS_TOKEN``; all others get a 404.

    Loopback addresses are not trusted instead: behind a proxy that sends no forwarding header,
    every request comes from one.
    """
    given = request.headers.get("Authorization", "").encode()
    token = settings.AUTHSITE.metrics_token
    if not token or not compare_digest(given, f"Bearer {token}".encode()):
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    health.inspect()
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
