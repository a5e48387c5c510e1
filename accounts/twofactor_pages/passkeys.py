"""The pages of passkeys and of trusted browsers."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.common.errors import PublicError
from accounts.common.links import absolute
from accounts.common.proofs import Method
from accounts.sessions.current import actor_of, session_of
from accounts.signin.policy import Requirement
from accounts.twofactor import passkeys, trusted_browsers
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Passkey, rp_id
from accounts.twofactor_pages.factor import FactorView
from accounts.twofactor_pages.forms import OptionalNameForm
from accounts.twofactor_pages.guard import AddFactorView
from accounts.users.models import User


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show the passkeys of the signed-in user, and tell the browser which of them still work."""
    user = session_of(request).user
    rows = passkeys.of(user)
    context = {"rows": rows, "most": passkeys.MOST_PASSKEYS, "signal": _signal(user, rows)}
    return render(request, "accounts/twofactor_pages/passkeys.html", context)


class AddPasskeyView(AddFactorView):
    """Add a passkey, in a session or in a pending sign-in that requires a factor."""

    requirements = (Requirement.ENROLMENT, Requirement.PASSKEY)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(OptionalNameForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OptionalNameForm(request.POST)
        if "credential" not in request.POST or not form.is_valid():
            return self.show(form)
        credential, name = request.POST["credential"], form.cleaned_data["name"]
        try:
            made = passkeys.add(self.user, credential, name, actor_of(request))
            messages.success(request, _("The passkey was added."))
            return self.resume(Method.PASSKEY, made)
        except PublicError as error:
            return self.show(form, passkey_error=str(error))

    def show(self, form: OptionalNameForm, *, passkey_error: str = "") -> HttpResponse:
        """Return the page, with the errors of ``form`` or of a passkey."""
        context = {
            "form": form,
            "passkey_error": passkey_error,
            "must_be_passkey": twofactor.needs_passkey(self.user),
            "options": json.dumps(passkeys.options_to_add(self.user)),
        }
        return self.page("accounts/twofactor_pages/passkey_add.html", context)


class PasskeyView(FactorView):
    """Rename or remove a passkey."""

    model = Passkey
    template_name = "accounts/twofactor_pages/passkey.html"
    list_page = "passkeys"


def _signal(user: User, rows: list[Passkey]) -> str:
    """Return the options for the Signal API (WebAuthn Level 3, section 5.1.10)."""
    options: dict[str, Any] = passkeys.options_to_add(user)["user"]
    return json.dumps(
        {
            "rpId": rp_id(),
            "userId": options["id"],
            "name": options["name"],
            "displayName": options["displayName"],
            # Suspended passkeys may be put back.
            "accepted": [row.credential_id for row in rows] + passkeys.suspended_ids(user),
        }
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def trusted(request: HttpRequest) -> HttpResponse:
    """Show the trusted browsers of the signed-in user; a POST ends the trust in one or all."""
    user = session_of(request).user
    if request.method == "POST":
        number = request.POST.get("end", "")
        one = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
        ended = trusted_browsers.end(
            user, actor_of(request), None if "all" in request.POST else one
        )
        if ended:
            messages.success(request, _("The second step is asked for there again."))
        return redirect("trusted_browsers")
    here = trusted_browsers.here(request, user).first()
    context = {
        "rows": trusted_browsers.of(user),
        "here": here,
        "days": settings.AUTHSITE.trusted_browser_days,
    }
    return render(request, "accounts/twofactor_pages/trusted.html", context)


@login_not_required
@require_safe
def endpoints(_request: HttpRequest) -> JsonResponse:
    """Return where passkeys are added and managed (W3C, Passkey Endpoints)."""
    return JsonResponse({"enroll": absolute("passkey_add"), "manage": absolute("passkeys")})
