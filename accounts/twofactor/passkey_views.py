"""The pages that offer, add, rename and remove passkeys."""

import json
from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.pages import absolute, form_page
from accounts.common.proofs import Method
from accounts.recovery.locks import Access
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.signin.recent import ANEW, recent_authentication_required
from accounts.twofactor import models, passkeys
from accounts.twofactor import services as twofactor
from accounts.twofactor.adding import CODES, AddFactorView, codes_page
from accounts.twofactor.errors import WrongPasskey
from accounts.twofactor.forms import OptionalNameForm, SavedForm
from accounts.twofactor.models import Passkey
from accounts.twofactor.views import FactorView
from accounts.users.services import AccountChanged


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
        return self.page("accounts/twofactor/passkey_add.html", context)


class PasskeyView(FactorView):
    """Rename or remove a passkey."""

    model = Passkey
    template_name = "accounts/twofactor/passkey.html"


@login_not_required
@require_safe
def endpoints(_request: HttpRequest) -> JsonResponse:
    """Return where passkeys are added and managed (W3C, Passkey Endpoints)."""
    return JsonResponse({"enroll": absolute("passkey_add"), "manage": absolute("passkeys")})


@form_page
def offer(request: HttpRequest) -> HttpResponse:
    """Handle the two forms of the passkey offer on the home page.

    One form sends a passkey that the browser has made by itself. The other says "Not now". A
    passkey that comes too late or is not valid is dropped without a message, because the user did
    not ask for it.
    """
    session = session_of(request)
    if "not_now" in request.POST:
        passkeys.decline(session.user)
    elif "credential" in request.POST and policy.may_make_passkey(session):
        actor = actor_of(request).by(*session.amr)
        with suppress(PublicError):
            passkeys.add_automatic(session.user, request.POST["credential"], actor)
            messages.success(
                request, _("Your browser saved a passkey. You can now use it to sign in.")
            )
    return redirect("home")


@form_page
@recent_authentication_required
def confirm(request: HttpRequest, factor_id: int) -> HttpResponseBase:
    """Make an unconfirmed passkey a second factor.

    The user must first use the passkey: a thief may have made it, after a sign-in with a stolen
    password. If the account has no second factor yet, the user must then save recovery codes. They
    are stored only when the user types one of them, so that two-step verification never begins
    without saved codes.
    """
    session = session_of(request)
    user = session.user
    if not policy.may_enrol(session):
        return render(request, ANEW, status=403)
    row = get_object_or_404(Passkey, user=user, pk=factor_id, confirmed=False)
    held = twofactor.held(user)
    if held.count and not (held.recovery_codes and held.recovery_codes.saved_at):
        return redirect(codes_page(request.path))
    proved, *shown = json.loads(CODES.open(request.POST.get("shown", ""), user) or "[]") or [0]
    if proved == row.pk:
        form = SavedForm(request.POST, accepts=shown.__contains__)
        if form.is_valid():
            return _confirm(request, row, shown)
        return _show(request, row, form, shown)
    try:
        if "credential" not in request.POST:
            return _show(request, row)
        passkeys.check_unconfirmed(row, request.POST["credential"], actor_of(request))
    except WrongPasskey as error:
        return _show(request, row, passkey_error=str(error))
    if held.count:
        return _confirm(request, row, [])
    return _show(request, row, SavedForm(accepts=bool), models.new_recovery_codes())


def _show(
    request: HttpRequest,
    row: Passkey,
    form: SavedForm | None = None,
    made: Sequence[str] = (),
    *,
    passkey_error: str = "",
) -> HttpResponse:
    """Return the page that asks for the passkey ``row``, or with ``made`` for a recovery code.

    ``made``: new recovery codes, which the page shows. Its form sends them back encrypted, together
        with the id of the passkey, because the user has used it.
    """
    session = session_of(request)
    context = {
        "form": form,
        "row": row,
        "made": [models.written(code) for code in made],
        "made_at": clock.now(),
        "shown": CODES.seal(session.user, json.dumps([row.pk, *made])) if made else "",
        "passkey_error": passkey_error,
        "passkey_options": "" if made else json.dumps(passkeys.options_to_confirm(row)),
        "origin": settings.AUTHSITE.origin,
        "access": Access(session.user, session.pk),
    }
    return render(request, "accounts/twofactor/passkey_confirm.html", context)


def _confirm(request: HttpRequest, row: Passkey, saved: list[str]) -> HttpResponse:
    session = session_of(request)
    actor = actor_of(request).by(*session.amr)
    try:
        passkeys.confirm(session.user, row.pk, saved, actor)
        renew_key(request)
        messages.success(request, _("Two-step verification is on."))
    except AccountChanged as error:
        messages.error(request, str(error))
    return redirect("second_factors")
