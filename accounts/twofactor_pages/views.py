"""Pages of second factors: authenticator apps, recovery codes, enrolment links."""

import json
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.common import clock
from accounts.common.moments import date_in_words
from accounts.common.pages import form_page
from accounts.common.proofs import Method, Proof
from accounts.lockdown.access import Access
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin import flow
from accounts.signin.policy import Requirement
from accounts.signin.recent import recent_authentication_required
from accounts.twofactor import codes
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import TooManyFactors, WrongFactorCode
from accounts.twofactor.models import Authenticator
from accounts.twofactor_pages import links, qr
from accounts.twofactor_pages.factor import FactorView
from accounts.twofactor_pages.forms import SavedForm, SetupForm
from accounts.twofactor_pages.guard import AddFactorView
from accounts.twofactor_pages.session_data import CODES, SEED
from accounts.users.models import User
from accounts.users.services import AccountChanged


class AddAuthenticatorView(AddFactorView):
    """Add an authenticator app, in a session or in a pending sign-in that requires a factor."""

    requirements = (Requirement.ENROLMENT,)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(SetupForm(), SEED.get(request, self.user, self.sign_in_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        seed = SEED.get(request, self.user, self.sign_in_id)
        if seed is None:
            # What was posted belongs to a seed that is not shown any more.
            return self.show(SetupForm(), None)
        form = SetupForm(request.POST)
        if form.is_valid():
            try:
                return self.enrol(seed, form.cleaned_data["code"], form.cleaned_data["name"])
            except (WrongFactorCode, TooManyFactors) as error:
                form.add_error("code", str(error))
            except AccountChanged:
                # Most likely this very form was sent twice: the app and the codes are there.
                return redirect("recovery_codes")
        return self.show(form, seed)

    @property
    def sign_in_id(self) -> str:
        """The id of the sign-in or session that the seed in the session data belongs to."""
        if self.pending:
            return self.pending.proofs[0].at.isoformat()
        return str(session_of(self.request).pk)

    def enrol(self, seed: str, code: str, name: str) -> HttpResponse:
        """Add the authenticator app with this ``seed`` if ``code`` is its current code."""
        name = name or _("Authenticator app")
        made = twofactor.enrol(self.user, seed, code, name, actor_of(self.request))
        SEED.drop(self.request)
        sentence = _("Two-step verification is on.") if made else _("The app was added.")
        messages.success(self.request, sentence)
        return self.resume(Method.TOTP, made)

    def show(self, form: SetupForm, seed: str | None) -> HttpResponse:
        """Return the page with the errors of ``form``, and with a new seed if there is none."""
        if seed is None:
            seed = twofactor.new_seed()
            SEED.put(self.request, self.user, seed, self.sign_in_id)
        uri, key = qr.uri(self.user, seed), qr.base32(seed)
        context = {
            "form": form,
            "qr": qr.svg(uri),
            "uri": uri,
            "key": " ".join(key[n : n + 4] for n in range(0, len(key), 4)),
        }
        return self.page("accounts/twofactor_pages/setup.html", context)


class AuthenticatorView(FactorView):
    """Rename or remove an authenticator app."""

    model = Authenticator
    template_name = "accounts/twofactor_pages/authenticator.html"
    list_page = "second_factors"


@form_page
def recovery_codes(request: HttpRequest) -> HttpResponseBase:
    """Show new recovery codes once and ask for one of them, or say how many codes are left."""
    user = session_of(request).user
    if "new" in request.POST:
        return _new_codes(request)
    held = twofactor.held(user)
    if held.recovery_codes is None and not held.count:
        return redirect("totp_setup")
    shown = CODES.pop(request) if request.method == "GET" else request.POST.get("shown", "")
    made = CODES.open(shown, user)
    form = SavedForm(request.POST if "code" in request.POST else None)
    if form.is_valid():
        if twofactor.note_saved(user, form.cleaned_data["code"]):
            messages.success(request, _("You’ve saved your recovery codes. You’re all set."))
            return redirect(flow.next_of(request) or "second_factors")
        form.add_error(
            "code", _("That isn’t one of your recovery codes. Check the ones you saved.")
        )
    context = {
        "form": form,
        "made": [codes.written(code) for code in json.loads(made)] if made else [],
        "shown": shown if made else "",
        "held": held,
        "most_codes": codes.COUNT,
        "origin": settings.AUTHSITE.origin,
        "access": Access(user, session_of(request).pk),
        "may_type_back": made or (held.recovery_codes and not held.recovery_codes.saved_at),
        "next": flow.next_of(request),
    }
    return render(request, "accounts/twofactor_pages/recovery_codes.html", context)


@recent_authentication_required
def _new_codes(request: HttpRequest) -> HttpResponse:
    user = session_of(request).user
    if not twofactor.has_any(user):
        return redirect("totp_setup")
    actor = actor_of(request).by(*session_of(request).amr)
    made = twofactor.make_recovery_codes(user, actor)
    CODES.put(request, user, json.dumps(made))
    renew_key(request)
    return redirect("recovery_codes")


@never_cache
@require_POST
def codes_file(request: HttpRequest) -> HttpResponse:
    """Return the recovery codes that a page shows as a text file.

    Only a POST is accepted, because browsers may cache the response to a GET.
    """
    user = cast(User, request.user)
    made = CODES.open(request.POST.get("shown", ""), user)
    if made is None:
        return redirect("recovery_codes")
    head = _(
        "Recovery codes for %(name)s at %(site)s (%(origin)s), %(date)s. Each code works once."
    ) % {
        "name": user.username,
        "site": settings.AUTHSITE.site_name,
        "origin": settings.AUTHSITE.origin,
        "date": date_in_words(clock.now()),
    }
    lines = [head, "", *(codes.written(code) for code in json.loads(made)), ""]
    return HttpResponse(
        "\r\n".join(lines),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="recovery-codes.txt"'},
    )


@login_not_required
@form_page
def enrolment_link(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in with an enrolment link, and continue with adding the missing second factor."""
    user = links.find_by_link(token)
    if user and request.method != "POST":
        return render(request, "accounts/twofactor_pages/link.html", {"owner": user})
    if user and links.spend(user, token):
        return flow.start_sign_in(request, user, Proof.now(Method.OPERATOR))
    return render(request, "accounts/twofactor_pages/link_dead.html", status=404)
