"""Pages whose forms lead on to another site."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csp import csp_override

type View = Callable[..., HttpResponseBase]


def leads_to_providers(view: View) -> View:
    """A decorator: ``form-action`` takes the pages of the configured providers, and no others.

    Chromium holds the redirects that answer a form against it.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        base = getattr(response, "_csp_config", settings.SECURE_CSP)
        origins = [origin for issuer in settings.AUTHSITE.issuers for origin in issuer.origins]
        policy = {**base, "form-action": [*base["form-action"], *origins]}
        return csp_override(policy)(lambda _request: response)(request)

    return wrapped
