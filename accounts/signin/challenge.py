"""The page of the second step, whichever sign-in it belongs to."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.codes import services as codes
from accounts.common.client_info import client_of
from accounts.common.proofs import FACTORS, Proof
from accounts.recovery import evidence
from accounts.recovery import services as recovery
from accounts.sessions.current import actor_of
from accounts.signin import flow, mailed_codes, pending, policy, second_step
from accounts.signin.forms import SecondForm
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.second_step import SecondMethod
from accounts.twofactor import passkeys, trusted_browsers
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import MailedCodeUsedUp, WrongCode, WrongPasskey
from accounts.users.models import User

LOST = {"ask", "finish", "stop"}


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def challenge(request: HttpRequest) -> HttpResponse:
    """Show a second factor, have a code mailed, or say that every factor is lost."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    found = pending.find(request)
    if found is None:
        return flow.restart(request)
    if found.requirement not in {Requirement.SECOND_FACTOR, Requirement.MAILBOX}:
        return flow.go_on(request, found)
    return _Challenge(found, request).answer()


@dataclass(frozen=True)
class Step:
    """A second step that somebody is to take: who, after which proofs."""

    user: User
    proofs: tuple[Proof, ...]
    nonce: str = ""


def context_of(
    request: HttpRequest, step: Step, form: SecondForm | None = None, *, passkey_error: str = ""
) -> dict[str, Any]:
    """What ``accounts/signin/second_step.html`` shows."""
    methods = second_step.methods(step.user, step.proofs)
    wanted = request.GET.get("method", "")
    if form is not None and form.is_bound:
        wanted = request.POST.get("method", wanted)
    is_mailed = bool(step.nonce) and SecondMethod.EMAIL in methods
    chosen = next((m for m in methods if m == wanted), SecondMethod.EMAIL if is_mailed else None)
    method = chosen or next(iter(methods), SecondMethod.TOTP)
    form = form or SecondForm()
    if method == SecondMethod.TOTP:
        form.fields["code"].widget.attrs["inputmode"] = "numeric"
    at = recovery.disputed_at(step.user)
    shown = evidence.of_request(request, step.user, step.proofs, at)
    return {
        "form": form,
        "owner": step.user,
        # Staff without a factor only confirm their email here, to enrol one next.
        "enrols": not twofactor.has_any(step.user),
        "method": method,
        "others": [m for m in methods if m != method],
        "is_mailed": is_mailed,
        "resend_wait": second_step.seconds_to_next_mail(step.user, client_of(request))
        if is_mailed
        else 0,
        "assessment": recovery.assess(step.user, shown),
        "recovery_hours": settings.AUTHSITE.factor_recovery_hours,
        "passkey_error": passkey_error,
        "passkey_options": json.dumps(passkeys.options_to_prove(step.user))
        if SecondMethod.PASSKEY in methods
        else None,
        # Where only a passkey will do, trust would be worth nothing.
        "trust_days": 0
        if policy.needs_passkey(step.user)
        else settings.AUTHSITE.trusted_browser_days,
    }


class _Challenge:
    """One request to the page."""

    def __init__(self, found: PendingSignIn, request: HttpRequest) -> None:
        self.found, self.request = found, request
        self.step = Step(found.user, found.proofs, found.nonce)

    def answer(self) -> HttpResponse:
        posted = self.request.POST
        if "credential" in posted:
            return self._prove_by_passkey(posted["credential"])
        if "code" in posted:
            return self._prove()
        if "mail" in posted:
            return self._mail()
        if posted.get("lost") in LOST:
            return self._recover(posted["lost"])
        return self._show()

    def _show(self, form: SecondForm | None = None, *, passkey_error: str = "") -> HttpResponse:
        context = context_of(self.request, self.step, form, passkey_error=passkey_error)
        return render(self.request, "accounts/signin/second_step.html", context)

    def _prove(self) -> HttpResponse:
        form = SecondForm(self.request.POST)
        if form.is_valid():
            step, code = self.step, form.cleaned_data["code"]
            actor = actor_of(self.request)
            try:
                proof = second_step.prove(step.user, step.proofs, code, actor, nonce=step.nonce)
                return self._go_on(proof)
            except MailedCodeUsedUp:
                client = client_of(self.request)
                send = partial(second_step.send_code, step.user, step.proofs, step.nonce, client)
                form.add_error("code", codes.renewed(send))
            except WrongCode as error:
                form.add_error("code", str(error))
        return self._show(form)

    def _prove_by_passkey(self, credential: str) -> HttpResponse:
        try:
            proof = passkeys.prove(self.step.user, credential, actor_of(self.request))
            return self._go_on(proof)
        except WrongPasskey as error:
            return self._show(passkey_error=str(error))

    def _go_on(self, proof: Proof) -> HttpResponse:
        """Sign in; trust the browser if the person wants that and a real factor was shown."""
        response = flow.go_on(self.request, self.found, proof)
        wants_trust = "trust" in self.request.POST and proof.method in FACTORS
        if wants_trust and self.request.user.is_authenticated:
            trusted_browsers.trust(self.request, response, self.step.user)
        return response

    def _mail(self) -> HttpResponse:
        nonce = mailed_codes.new_nonce()
        second_step.send_code(self.step.user, self.step.proofs, nonce, client_of(self.request))
        pending.store(self.request, replace(self.found, nonce=nonce))
        return redirect("second_step")

    def _recover(self, act: str) -> HttpResponse:
        user, proofs = self.step.user, self.step.proofs
        actor = actor_of(self.request).by(*(proof.method for proof in proofs))
        shown = evidence.of_request(self.request, user, proofs, recovery.disputed_at(user))
        if act == "finish":
            recovery.remove_factors(user, shown, actor)
            messages.success(self.request, _("Your second factors were removed."))
            return flow.go_on(self.request, self.found)
        if act == "stop":
            recovery.cancel(user, shown, actor)
        else:
            recovery.ask(user, shown, actor)
        return redirect("second_step")
