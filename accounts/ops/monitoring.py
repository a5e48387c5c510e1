"""What watches the site asks here: whether it's alive, ready, and its figures."""

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
    """That the process answers; nothing else is asked."""
    return JsonResponse({"process": health.OK})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Whether requests may be sent here, for everybody: words that name no software."""
    found = health.inspect()
    if health.is_ready(found):
        return JsonResponse(found)
    return JsonResponse(found, status=503, headers={"Retry-After": str(RETRY_AFTER)})


@login_not_required
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """The figures, for who has the token; for anybody else there is no such page.

    No address is trusted instead: behind a proxy that says nothing of itself, everybody comes from
    this machine.
    """
    given = request.headers.get("Authorization", "").encode()
    token = settings.AUTHSITE.metrics_token
    if not token or not compare_digest(given, f"Bearer {token}".encode()):
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    health.inspect()
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
