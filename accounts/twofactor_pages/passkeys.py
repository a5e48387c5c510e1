"""The pages of passkeys and of trusted browsers."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.common.errors import PublicError
from accounts.common.links import absolute
from accounts.common.proofs import Method
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin import flow
from accounts.signin.policy import Requirement
from accounts.signin.recent import recent_authentication_required
from accounts.twofactor import passkeys, trusted_browsers
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import LastWayIn, Required
from accounts.twofactor.models import Passkey, rp_id
from accounts.twofactor_pages import guard
from accounts.twofactor_pages.forms import OptionalNameForm, RenameForm
from accounts.users.models import User
from accounts.users.services import AccountChanged


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Those that one has; the browser hears which are still good."""
    user = session_of(request).user
    rows = passkeys.of(user)
    context = {"rows": rows, "most": passkeys.MOST_PASSKEYS, "signal": _signal(user, rows)}
    return render(request, "accounts/twofactor_pages/passkeys.html", context)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new one: from inside, or between two steps where one must be added."""
    away, found = guard.guard(request, Requirement.ENROLMENT, Requirement.PASSKEY)
    if away:
        return away
    user = guard.user_of(request, found)
    form, passkey_error = OptionalNameForm(request.POST or None), ""
    if "credential" in request.POST and form.is_valid():
        try:
            made = passkeys.add(
                user, request.POST["credential"], form.cleaned_data["name"], actor_of(request)
            )
            messages.success(request, _("The passkey was added."))
            return guard.after_adding(request, found, Method.PASSKEY, made)
        except PublicError as problem:
            passkey_error = str(problem)
    context = {
        "form": form,
        "passkey_error": passkey_error,
        "owner": user,
        "is_pending": found is not None,
        "must_be_passkey": twofactor.needs_passkey(user),
        "next": flow.next_of(request),
        "options": json.dumps(passkeys.options_to_add(user)),
    }
    return render(request, "accounts/twofactor_pages/passkey_add.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_authentication_required
def passkey(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Rename or remove one; what removing does, or why it can't be, is said first."""
    user = session_of(request).user
    row = Passkey.objects.filter(user=user, pk=factor_id).first()
    if row is None:
        raise Http404
    if "remove" in request.POST:
        return _remove(request, row)
    form = RenameForm(request.POST if request.method == "POST" else {"name": row.name})
    if request.method == "POST" and form.is_valid():
        twofactor.rename(Passkey, user, row.pk, form.cleaned_data["name"], actor_of(request))
        messages.success(request, _("Renamed."))
        return redirect("passkeys")
    context = {
        "form": form,
        "row": row,
        "refusal": _refusal(user, row),
        "is_last": twofactor.held(user).count == 1,
    }
    return render(request, "accounts/twofactor_pages/passkey.html", context)


def _remove(request: HttpRequest, row: Passkey) -> HttpResponse:
    actor = actor_of(request).by(*session_of(request).amr)
    try:
        twofactor.remove(Passkey, session_of(request).user, row.pk, actor)
    except (Required, LastWayIn, AccountChanged) as error:
        messages.error(request, str(error))
        return redirect("passkeys")
    renew_key(request)
    messages.success(request, _("Removed. Every other sign-in has ended."))
    return redirect("passkeys")


def _refusal(user: User, row: Passkey) -> str:
    try:
        twofactor.refuse_removal(user, row)
    except PublicError as error:
        return str(error)
    return ""


def _signal(user: User, rows: list[Passkey]) -> str:
    """For the Signal API (WebAuthn Level 3, section 5.1.10)."""
    options: dict[str, Any] = passkeys.options_to_add(user)["user"]
    return json.dumps(
        {
            "rpId": rp_id(),
            "userId": options["id"],
            "name": options["name"],
            "displayName": options["displayName"],
            # Suspended ones may be put back.
            "accepted": [row.credential_id for row in rows] + passkeys.suspended_ids(user),
        }
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def trusted(request: HttpRequest) -> HttpResponse:
    """Where the second step isn't asked for; a POST ends one, or all."""
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
    return render(request, "accounts/twofactor_pages/trusted_browsers.html", context)


@login_not_required
@require_safe
def endpoints(_request: HttpRequest) -> JsonResponse:
    """Where passkeys are added and managed, for their keepers (W3C, Passkey Endpoints)."""
    return JsonResponse({"enroll": absolute("passkey_add"), "manage": absolute("passkeys")})
