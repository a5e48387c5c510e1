"""Authorization responses, which send the browser back to the app (RFC 6749 section 4.1.2).

Every response has ``iss``, so that an app with several providers knows which one has answered
(RFC 9207). Otherwise, the app could send a code of this site to an attacker's provider (a mix-up).
"""

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.oauth import redirect_uris
from accounts.oauth.models import Client


def url(redirect_uri: str, state: str, **result: str) -> str:
    """Return ``redirect_uri`` with ``result``, ``state`` and ``iss`` added to its query."""
    values = result | ({"state": state} if state else {}) | {"iss": settings.AUTHSITE.origin}
    return with_query(redirect_uri, values)


def with_query(uri: str, values: dict[str, str]) -> str:
    """Return ``uri`` with ``values`` added to its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(values)}"


def redirect(target: str) -> HttpResponse:
    """Return a redirect to ``target``.

    Django's own redirects refuse the private-use schemes of apps (RFC 8252) and long URLs. The
    status 303 makes the browser send a GET, whatever the request was (RFC 9700 section 4.12).
    """
    return HttpResponse(status=303, headers={"Location": target})


def lead_back(request: HttpRequest, client: Client, target: str) -> HttpResponse:
    """Return a page that sends the browser to ``target``. Use it to answer forms.

    Chromium applies ``form-action`` to a redirect that answers a form, but not to this page.
    """
    context = {"client": client, "url": target, "host": redirect_uris.host_of(target)}
    return render(request, "accounts/oauth/leave.html", context)
