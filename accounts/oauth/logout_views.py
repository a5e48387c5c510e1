"""Logout at the request of an app (OpenID Connect RP-Initiated Logout 1.0).

The URL of the request has an ID token of the person. Browsers and proxies store URLs, so the site
reads the token at once, and redirects the browser to a URL with a random id instead. A signed
cookie holds the id and what the page there needs of the request.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.activity import events
from accounts.common import secrets
from accounts.common.pages import set_cookie
from accounts.oauth import id_tokens, views
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AppSession
from accounts.oauth.protocol import parameters
from accounts.sessions.current import request_auth_of
from accounts.sessions.models import LoginSession
from accounts.signin.session import sign_out

# How long a person has to answer.
LIFE = timedelta(minutes=10)
# Browsers keep cookies of at most 4096 bytes.
LONGEST_STATE = 1024
SALT = "oauth.logout"
# The parameter with the id of the stored request.
ID = "continue"

type Request = dict[str, str]


@csrf_exempt  # The forms of apps may send the request. The page that signs out is protected.
@views.page
def logout(request: HttpRequest) -> HttpResponse:
    """Store the request of an app in a cookie, and redirect to this URL with its id only.

    There, carry the stored request out: sign the user out, or ask the user first. A link to this
    URL without parameters is another request, so the stored one does not count for it.
    """
    data = request.POST if request.method == "POST" else request.GET
    if data.keys() <= {ID} or "csrfmiddlewaretoken" in data:
        return _page(request)
    asked = _read(parameters(data)) | {"id": secrets.token()}
    response = views.redirect_to_app(reverse("oauth_logout", query={ID: asked["id"]}))
    set_cookie(response, settings.LOGOUT_COOKIE_NAME, signing.dumps(asked, salt=SALT), LIFE)
    return response


def _read(given: dict[str, str]) -> Request:
    """Return the client, its session and the URI to return to, if ``id_token_hint`` is valid.

    Return an empty dictionary otherwise, and if the client is disabled or its host was removed from
    the settings. The URI is left out unless the client has registered it. Then the session is left
    out, too: a request that is partly wrong signs nobody out without asking.
    """
    hint = id_tokens.hint_of(given.get("id_token_hint", ""), given.get("client_id", ""))
    rows = Client.objects.filter(disabled_at=None)
    client = rows.filter(pk=hint["aud"]).first() if hint else None
    if hint is None or client is None or uris.is_withdrawn(client.pk):
        return {}
    uri, state = given.get("post_logout_redirect_uri", ""), given.get("state", "")
    asked = {"client": client.pk, "sid": hint.get("sid", "")}
    if uri in client.logout_uris and len(state) <= LONGEST_STATE:
        asked |= {"uri": uri, "state": state}
    elif uri:
        asked["sid"] = ""
    return asked


@csrf_protect
def _page(request: HttpRequest) -> HttpResponse:
    """Sign the person out, or ask first.

    An app signs out without asking only the browser session from which the person signed in to it.
    Otherwise, whoever has any ID token could sign its owner out anywhere.
    """
    asked = _stored(request)
    session = request_auth_of(request).presented
    if session is not None and request.method != "POST" and not _is_from(asked, session):
        client = Client.objects.filter(pk=asked.get("client")).first()
        return render(request, "accounts/oauth/logout.html", {"client": client})
    if session is not None:
        sign_out(request)
    response = _lead_on(request, asked)
    response.delete_cookie(settings.LOGOUT_COOKIE_NAME, samesite="Lax")
    return response


def _stored(request: HttpRequest) -> Request:
    cookie = request.COOKIES.get(settings.LOGOUT_COOKIE_NAME, "")
    try:
        asked: Any = signing.loads(cookie, salt=SALT, max_age=LIFE)
    except signing.BadSignature:
        return {}
    return dict(asked) if asked.get("id", "") == request.GET.get(ID) else {}


def _is_from(asked: Request, session: LoginSession) -> bool:
    """Return whether the person signed in to the app from the browser session ``session``."""
    if not asked.get("sid"):
        return False
    rows = AppSession.objects.filter(client=asked["client"], parent=session)
    # After a person has disconnected the app, it must not sign the person out without asking.
    rows = rows.exclude(session__ended_by=events.APP_DISCONNECTED.name)
    return rows.filter(session=uuid.UUID(asked["sid"])).exists()


def _lead_on(request: HttpRequest, asked: Request) -> HttpResponse:
    """Return to the URI of the app if it is registered; otherwise show that sign-out is done.

    For an app that nobody has verified, the page has a link to the URI. After a redirect, a link to
    this site could lead anywhere (RFC 9700 section 4.11.2).
    """
    client = Client.objects.filter(pk=asked["client"]).first() if "uri" in asked else None
    if client is None or asked["uri"] not in client.logout_uris:
        return render(request, "accounts/oauth/signed_out.html")
    target = asked["uri"]
    if asked["state"]:
        target = views.with_query(target, {"state": asked["state"]})
    if not client.is_verified:
        context = {"url": target, "host": uris.host_of(target), "client": client}
        return render(request, "accounts/oauth/signed_out.html", context)
    if request.method == "POST":
        return views.lead_back(request, client, target)
    return views.redirect_to_app(target)
