"""Decorators of views that show pages."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_http_methods

type View = Callable[..., HttpResponseBase]


def form_page(view: View) -> View:
    """Decorate a view of a page with a form. Its responses are not stored (``no-store``)."""
    return never_cache(require_http_methods(["GET", "HEAD", "POST"])(view))


def allow_provider_redirects(view: View) -> View:
    """Decorate a view so that its forms may redirect to the configured identity providers.

    The decorator adds the origins of these providers to ``form-action``, because Chromium also
    applies this directive to redirects that follow a form submission.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        origins = [origin for issuer in settings.AUTHSITE.issuers for origin in issuer.origins]
        if not origins:
            return response
        base = getattr(response, "_csp_config", settings.SECURE_CSP)
        policy = {**base, "form-action": [*base["form-action"], *origins]}
        return csp_override(policy)(lambda _request: response)(request)

    return wrapped
