"""The pages of connected apps and their logos; device authorization (RFC 8628) with its page."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.common import clock
from accounts.common.client_info import client_of
from accounts.common.forms import code_input
from accounts.common.localization import listed
from accounts.common.pages import absolute, form_page, page_of
from accounts.oauth import connections, devices, requests
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.authentication import authenticate
from accounts.oauth.models import Connection, DeviceAuthorization
from accounts.oauth.protocol import endpoint, success
from accounts.oauth.scopes import in_words, permissions_at
from accounts.oauth.views import store_and_proceed
from accounts.sessions.current import actor_of, session_of
from accounts.signin.recent import recent_authentication_required

STALE = timedelta(days=90)


@dataclass(frozen=True)
class Row:
    """A connected app as the pages show it. ``app`` is one of ``connections.of``."""

    app: Any

    @property
    def words(self) -> str:
        """A text that lists what the app may see and do, and the services that it uses."""
        agreed = sorted(self.app.agreed, key=lambda row: row.audience)
        scope = {name for row in agreed for name in row.scope.split()}
        others = [row for row in agreed if row.audience not in {"", settings.AUTHSITE.origin}]
        return listed([*in_words(scope), *map(_use_in_words, others)], ";")

    @property
    def is_stale(self) -> bool:
        """Whether the app was last used longer than :data:`STALE` ago."""
        return bool(self.app.used_at < clock.now() - STALE)


def _use_in_words(agreed: Connection) -> str:
    uses = _("uses %(service)s on your behalf") % {"service": agreed.audience}
    acts = listed(permissions_at(agreed.audience, agreed.scope.split()))
    return f"{uses} ({acts})" if acts else uses


@never_cache
@require_safe
def apps(request: HttpRequest) -> HttpResponse:
    """List the connected apps of the signed-in user."""
    page = page_of(request, connections.of(session_of(request).user))
    context = {"page": page, "rows": [Row(app) for app in page]}
    return render(request, "accounts/oauth/apps.html", context)


@form_page
def disconnect(request: HttpRequest, client_id: str) -> HttpResponse:
    """Show what the user loses by disconnecting an app (GET), or disconnect the app (POST).

    The answer is 404 if the user has not connected the app.
    """
    user = session_of(request).user
    app = connections.find_connection(user, client_id)
    if app is None:
        raise Http404
    if request.method != "POST":
        return render(request, "accounts/oauth/disconnect.html", {"row": Row(app)})
    # Nothing is left to do if the user has just disconnected the app in another tab.
    connections.disconnect(user, app.pk, actor_of(request))
    messages.success(request, _("%(app)s was disconnected.") % {"app": app.label})
    return redirect("apps")


@require_safe
def logo(_request: HttpRequest, client_id: str, version: str) -> HttpResponse:
    """Return the logo of an app, or status 404 if ``version`` is not that of the present logo."""
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
    """Ask for the code that a device shows. A right code leads to the page that asks for consent.

    A link with the code fills in only the first half. Whoever follows a link that somebody else has
    sent sees no device that shows the other half (RFC 8628 section 5.4).
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
