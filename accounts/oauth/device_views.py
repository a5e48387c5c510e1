"""The device authorization endpoint (RFC 8628), and the page at which people type a code in."""

from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.common.client_info import client_of
from accounts.common.forms import code_input
from accounts.common.pages import form_page
from accounts.oauth import devices, requests
from accounts.oauth.clients.authentication import authenticate
from accounts.oauth.models import DeviceAuthorization
from accounts.oauth.protocol import endpoint, success
from accounts.oauth.views import store_and_proceed
from accounts.sessions.current import session_of
from accounts.signin.recent import recent_authentication_required


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
    page = f"{settings.AUTHSITE.origin}{reverse('device')}"
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
    """Ask for the code that a device shows, and lead to the page that says what the device asks.

    A link with the code fills in only the first half. Whoever follows a link that somebody else has
    sent sees no device that shows the other half (RFC 8628 section 5.4).
    """
    if request.method != "POST":
        first_half = devices.shown(request.GET.get("user_code", ""))[:5].removeprefix("-")
        form = UserCodeForm(initial={"user_code": first_half})
        return _page(request, form, first_half)
    form = UserCodeForm(request.POST)
    if form.is_valid():
        typed = form.cleaned_data["user_code"]
        if asked := devices.find_request(typed, session_of(request).user, client_of(request)):
            return store_and_proceed(request, asked)
        form.add_error(
            "user_code",
            _("No device is waiting with this code. Check it, or start again on your device."),
        )
    return _page(request, form)


def _page(request: HttpRequest, form: UserCodeForm, first_half: str = "") -> HttpResponse:
    context = {"form": form, "first_half": first_half}
    return render(request, "accounts/oauth/device.html", context)
