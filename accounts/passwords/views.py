"""The view that the strength meter of new passwords calls."""

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

# Decorates pages that ask for a new password, so that the strength meter may send requests to this
# site.
with_meter = csp_override(settings.SECURE_CSP_METER)


@login_not_required
@never_cache
@sensitive_post_parameters("password", "word")
@require_POST
def strength(request: HttpRequest) -> JsonResponse:
    """Return the strength of a password as JSON: ``{score, label, advice}``.

    Each parameter ``word`` contains what the user has entered in another field of the form, such as
    the username. Anonymous visitors may call this view, because they choose a password at sign-up.
    Nothing is stored.
    """
    network = around(limits.STRENGTH_NETWORK, client_of(request))
    spend(*network, limits.STRENGTH_EVERYONE.of())
    words = request.POST.getlist("word")[:MOST_WORDS]
    if request.user.is_authenticated:
        words += [request.user.username, request.user.email]
    return JsonResponse(asdict(measure(request.POST.get("password", ""), words)))
