"""The pages of connected apps, of devices (RFC 8628), and of a logout that an app requests.

The URL of a logout request (OpenID Connect RP-Initiated Logout 1.0) contains an ID token of the
user. Browsers and proxies store URLs, so the site reads the token at once, and redirects the
browser to a URL with a random id instead. A signed cookie contains the id and the necessary parts
of the request.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_safe

from accounts.activity import events
from accounts.common import clock, secrets
from accounts.common.client_info import client_of
from accounts.common.forms import code_input
from accounts.common.localization import listed
from accounts.common.pages import absolute, form_page, page_of, set_cookie
from accounts.oauth import connections, devices, id_tokens, requests, views
from accounts.oauth.clients import services as clients
from accounts.oauth.clients import uris
from accounts.oauth.clients.authentication import authenticate
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AppSession, Connection, DeviceAuthorization
from accounts.oauth.protocol import endpoint, parameters, success
from accounts.oauth.scopes import in_words, permissions_at
from accounts.oauth.views import store_and_proceed
from accounts.sessions.current import actor_of, request_auth_of, session_of
from accounts.sessions.models import LoginSession
from accounts.signin.recent import recent_authentication_required
from accounts.signin.session import sign_out

STALE = timedelta(days=90)


@dataclass(frozen=True)
class Row:
    """A connected app as the pages show it. ``app``: a result of ``connections.of``."""

    app: Any

    @property
    def words(self) -> str:
        """A text with what the app may see and do, and the services that it uses."""
        agreed = sorted(self.app.agreed, key=lambda row: row.audience)
        scope = {name for row in agreed for name in row.scope.split()}
        others = [row for row in agreed if row.audience not in {"", settings.AUTHSITE.origin}]
        return listed([*in_words(scope), *map(_use_in_words, others)], ";")

    @property
    def is_stale(self) -> bool:
        """Whether the app has not been used for longer than :data:`STALE`."""
        return bool(self.app.used_at < clock.now() - STALE)


def _use_in_words(agreed: Connection) -> str:
    uses = _("uses %(service)s on your behalf") % {"service": agreed.audience}
    acts = listed(permissions_at(agreed.audience, agreed.scope.split()))
    return f"{uses} ({acts})" if acts else uses


@never_cache
@require_safe
def apps(request: HttpRequest) -> HttpResponse:
    """List the connected apps of the signed-in user."""
    page = page_of(request, lambda: connections.of(session_of(request).user))
    context = {"page": page, "rows": [Row(app) for app in page]}
    return render(request, "accounts/oauth/apps.html", context)


@form_page
def disconnect(request: HttpRequest, client_id: str) -> HttpResponse:
    """Show the effects of disconnecting an app (GET), or disconnect it (POST).

    The status is 404 if the user has not connected the app.
    """
    user = session_of(request).user
    app = connections.find_connection(user, client_id)
    if app is None:
        raise Http404
    if request.method != "POST":
        return render(request, "accounts/oauth/disconnect.html", {"row": Row(app)})
    # The result is ignored, because the user may have just disconnected the app in another tab.
    connections.disconnect(user, app.pk, actor_of(request))
    messages.success(request, _("%(app)s was disconnected.") % {"app": app.label})
    return redirect("apps")


@require_safe
def logo(_request: HttpRequest, client_id: str, version: str) -> HttpResponse:
    """Return the logo of an app; 404 if ``version`` is not the current version of the logo."""
    content = clients.find_logo(client_id, version)
    if content is None:
        raise Http404
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return HttpResponse(content, content_type="image/png", headers=headers)


class UserCodeForm(forms.Form):
    """The form for the code that a device shows."""

    user_code = forms.CharField(
        label=gettext_lazy("Code on your device"),
        max_length=64,
        error_messages={"required": gettext_lazy("Enter the code.")},
        widget=code_input(autocomplete="off", autocapitalize="characters", dir="ltr"),
    )


@endpoint
def authorize_device(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Give a device a user code to show and a device code to poll with (RFC 8628 section 3.2)."""
    client = authenticate(request, sent)
    budgets = requests.budgets_of(client, request)
    device_code, user_code = devices.begin(client, sent, client_of(request), budgets)
    page = absolute("device")
    return success(
        {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': user_code})}",
            "expires_in": int(devices.LIFE.total_seconds()),
            "interval": DeviceAuthorization().interval,
        }
    )


@form_page
@recent_authentication_required
def device(request: HttpRequest) -> HttpResponse:
    """Ask for the code that a device shows; redirect to the consent page if the code is right.

    A link with the code fills in only the first half. A person who follows a link from somebody
    else sees no device that shows the other half (RFC 8628 section 5.4).
    """
    if request.method != "POST":
        first_half = devices.shown(request.GET.get("user_code", ""))[:5].removeprefix("-")
        form = UserCodeForm(initial={"user_code": first_half})
        return _device_page(request, form, first_half)
    form = UserCodeForm(request.POST)
    if form.is_valid():
        typed = form.cleaned_data["user_code"]
        if asked := devices.find_request(typed, session_of(request).user, client_of(request)):
            return store_and_proceed(request, asked)
        form.add_error(
            "user_code",
            _("No device is showing this code now. Check the code, or start again on your device."),
        )
    return _device_page(request, form)


def _device_page(request: HttpRequest, form: UserCodeForm, first_half: str = "") -> HttpResponse:
    context = {"form": form, "first_half": first_half}
    return render(request, "accounts/oauth/device.html", context)


# The time in which the person must answer.
LIFE = timedelta(minutes=10)
# Browsers keep cookies of at most 4096 bytes.
LONGEST_STATE = 1024
SALT = "oauth.logout"
# The query parameter with the id of the stored request.
ID = "continue"

type Request = dict[str, str]


@csrf_exempt  # The forms of apps may send the request. The page that signs out is protected.
@views.page
def logout(request: HttpRequest) -> HttpResponse:
    """Store the logout request of an app in a cookie, and redirect to this URL with its id.

    Carry out the stored request if the URL has its id: sign the user out, or ask first. A link to
    this URL without parameters is a new request, which does not use a stored one.
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
    the settings. The URI is left out if the client has not registered it. Then the session is left
    out, too, because a partly invalid request must not sign anybody out without asking.
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
    """Sign the user out, or ask first.

    Without asking, an app can end only the browser session from which the user signed in to it.
    Otherwise, anyone with an ID token could sign its owner out everywhere.
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
    """Return whether the user signed in to the app from the browser session ``session``."""
    if not asked.get("sid"):
        return False
    rows = AppSession.objects.filter(client=asked["client"], parent=session)
    # An app that the user has disconnected must not sign the user out without asking.
    rows = rows.exclude(session__ended_by=events.APP_DISCONNECTED.name)
    return rows.filter(session=uuid.UUID(asked["sid"])).exists()


def _lead_on(request: HttpRequest, asked: Request) -> HttpResponse:
    """Redirect to the URI of the app if it is registered; otherwise show that sign-out is done.

    For an app that is not verified, the page has a link to the URI. After a redirect, a link to
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
