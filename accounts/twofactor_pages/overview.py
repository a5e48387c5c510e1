"""The page of two-step verification: every factor, trusted browsers, and codes by email."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.common.pages import form_page
from accounts.common.proofs import FEW_RECOVERY_CODES
from accounts.common.text import row_id
from accounts.sessions.current import actor_of, session_of
from accounts.signin import policy
from accounts.signin.recent import recent_authentication_required
from accounts.twofactor import codes, new_passkeys, passkeys, trusted_browsers
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Passkey, rp_id
from accounts.users.models import User
from accounts.users.services import AccountChanged


@form_page
def overview(request: HttpRequest) -> HttpResponse:
    """Show the second factors of the signed-in user, and tell the browser which passkeys work.

    A POST ends the trust in one browser or in all.
    """
    user = session_of(request).user
    if request.method == "POST":
        return _end_trust(request, user)
    held = twofactor.held(user)
    context = {
        "held": held,
        "few_codes": FEW_RECOVERY_CODES,
        "most_codes": codes.COUNT,
        "most_apps": twofactor.MOST_AUTHENTICATORS,
        "most_passkeys": new_passkeys.MOST_PASSKEYS,
        "may_mail": bool(held.count) and policy.may_use_emailed_codes(user),
        "trusted": trusted_browsers.of(user),
        "here": trusted_browsers.here(request, user).first(),
        "trust_days": settings.AUTHSITE.trusted_browser_days,
        "signal": _signal(user, [*held.passkeys, *held.unconfirmed]),
    }
    return render(request, "accounts/twofactor_pages/overview.html", context)


def _end_trust(request: HttpRequest, user: User) -> HttpResponse:
    one = None if "all" in request.POST else row_id(request.POST.get("end", ""))
    if trusted_browsers.end(user, actor_of(request), one):
        messages.success(
            request, _("We’ll ask for the second step again in browsers that you no longer trust.")
        )
    return redirect("second_factors")


def _signal(user: User, rows: list[Passkey]) -> str:
    """Return the options for the Signal API (WebAuthn Level 3, section 5.1.10)."""
    options: dict[str, Any] = new_passkeys.options_to_add(user)["user"]
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


@form_page
@recent_authentication_required
def emailed_codes(request: HttpRequest) -> HttpResponseBase:
    """Turn codes by email on or off as the second step, or ask whether to do so."""
    session = session_of(request)
    if not (twofactor.has_any(session.user) and policy.may_use_emailed_codes(session.user)):
        return redirect("second_factors")
    if request.method != "POST":
        return render(request, "accounts/twofactor_pages/emailed_codes.html")
    is_on = request.POST.get("emailed_codes") == "on"
    on, off = _("Emailed codes are on."), _("Emailed codes are off.")
    try:
        twofactor.set_emailed_codes(session.user, actor_of(request).by(*session.amr), is_on=is_on)
        messages.success(request, on if is_on else off)
    except AccountChanged as error:
        messages.error(request, str(error))
    return redirect("second_factors")
