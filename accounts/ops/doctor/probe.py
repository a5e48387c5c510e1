"""Tells ``doctor`` how a server process sees its request, and which limits the process has.

Only the doctor gets an answer. It signs its request with ``SECRET_KEY``, for a minute.
"""

import resource
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

PATH = "/health/doctor"
SECONDS = 60


def token() -> str:
    """Return a value of the header ``Authorization`` that this site answers for a minute."""
    return f"Bearer {_signer().sign('doctor')}"


@csrf_exempt
@login_not_required
def doctor(request: HttpRequest) -> HttpResponse:
    """Tell ``doctor`` how its request arrives; answer everybody else with status 404."""
    try:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        _signer().unsign(given, max_age=SECONDS)
    except signing.BadSignature:
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    return JsonResponse(_facts(request.META, request.scheme or ""))


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="accounts.ops.doctor")


def _facts(meta: dict[str, Any], scheme: str) -> dict[str, Any]:
    return {
        "ip": meta.get("REMOTE_ADDR", ""),
        "forwarded": meta.get("HTTP_X_FORWARDED_FOR", ""),
        "underscore": "HTTP_X_DOCTOR_PROBE" in meta,
        "scheme": scheme,
        # How long the server has waited for the body.
        "body_seconds": meta.get("authsite.body_seconds", 0.0),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
