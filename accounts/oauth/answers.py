"""Answers of the authorization endpoint, which send the browser back to the app.

Every answer has ``iss``, so that an app with several providers knows which one has answered
(RFC 9207). Otherwise, an attacker's provider could get a code of this site (a mix-up).
"""

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.oauth import redirect_uris
from accounts.oauth.models import Client
from accounts.oauth.stored import AuthorizationRequest


def url(redirect_uri: str, state: str, **result: str) -> str:
    """Return ``redirect_uri`` with ``result`` and ``state`` in its query, after its own query."""
    values = result | ({"state": state} if state else {}) | {"iss": settings.AUTHSITE.origin}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(values)}"


def redirect(target: str) -> HttpResponse:
    """Return a redirect to ``target``, which may have the scheme of an app and any length.

    The status 303 makes the browser send a GET, whatever the request was (RFC 9700 section 4.12).
    """
    return HttpResponse(status=303, headers={"Location": target})


def lead_back(request: HttpRequest, client: Client, target: str) -> HttpResponse:
    """Return a page that leads to ``target``, for a request that may follow a form.

    Chromium applies ``form-action`` to redirects that follow a form, but not to this page.
    """
    context = {"client": client, "url": target, "host": redirect_uris.host_of(target)}
    return render(request, "accounts/oauth/leave.html", context)


def denied(asked: AuthorizationRequest) -> str:
    """Return where the browser goes after the person has cancelled, or may not use the app."""
    return url(asked.redirect_uri, asked.state, error="access_denied")
