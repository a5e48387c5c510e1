"""The view behind the strength meter of new passwords."""

from dataclasses import asdict

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.common.client_info import client_of
from accounts.passwords.strength import measure
from accounts.throttle import limits
from accounts.throttle.services import around, spend

MOST_WORDS = 4

# Decorates pages with a new password: the strength meter sends requests to this site only.
with_meter = csp_override(settings.SECURE_CSP_METER)


@login_not_required
@never_cache
@sensitive_post_parameters("password", "word")
@require_POST
def strength(request: HttpRequest) -> JsonResponse:
    """Return the strength of a password as JSON: ``{score, label, advice}``.

    Anonymous visitors may call this, because they choose a password at sign-up. ``word``, which may
    be repeated, is what the same form contains about the person. Nothing is stored.
    """
    network = around(limits.STRENGTH_NETWORK, client_of(request))
    spend(*network, (limits.STRENGTH_EVERYONE,))
    words = request.POST.getlist("word")[:MOST_WORDS]
    if request.user.is_authenticated:
        words += [request.user.username, request.user.email]
    return JsonResponse(asdict(measure(request.POST.get("password", ""), words)))
