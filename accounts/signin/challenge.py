"""The page of the second step of a sign-in."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import View

from accounts.common.client_info import client_of
from accounts.common.pages import form_page
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
from accounts.twofactor.errors import WrongPasskey
from accounts.users.models import User

# What a person who has lost every second factor may ask for.
RECOVERY_ACTS = {"ask", "finish", "stop"}


@method_decorator(
    [login_not_required, form_page],
    name="dispatch",
)
class SecondStepView(View):
    """Ask for the second step of a pending sign-in.

    The user shows a second factor or types an emailed code. A user who has lost every second factor
    can request that all of them are removed.
    """

    sign_in: PendingSignIn

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return redirect(settings.LOGIN_REDIRECT_URL)
        sign_in = pending.find(request)
        if sign_in is None:
            return flow.restart(request)
        if sign_in.requirement not in {Requirement.SECOND_FACTOR, Requirement.MAILBOX}:
            return flow.resume(request, sign_in)
        self.sign_in = sign_in
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        if "credential" in request.POST:
            return self.prove_by_passkey(request.POST["credential"])
        if "code" in request.POST:
            return self.prove_by_code()
        if "mail" in request.POST:
            return self.mail_code()
        if request.POST.get("lost") in RECOVERY_ACTS:
            return self.recover(request.POST["lost"])
        return self.show()

    def show(self, form: SecondForm | None = None, *, passkey_error: str = "") -> HttpResponse:
        """Return the page. ``form`` and ``passkey_error`` contain the errors to show."""
        sign_in = self.sign_in
        context = page_context(
            self.request,
            sign_in.user,
            sign_in.proofs,
            form,
            nonce=sign_in.nonce,
            passkey_error=passkey_error,
        )
        return render(self.request, "accounts/signin/second.html", context)

    def prove_by_code(self) -> HttpResponse:
        """Check the typed code, and continue the sign-in."""
        sign_in, actor, client = self.sign_in, actor_of(self.request), client_of(self.request)
        form = SecondForm(self.request.POST)
        proof = form.check(
            lambda code: second_step.prove(
                sign_in.user, sign_in.proofs, code, actor, nonce=sign_in.nonce
            ),
            partial(second_step.send_code, sign_in.user, sign_in.proofs, sign_in.nonce, client),
        )
        return self.resume(proof) if proof else self.show(form)

    def prove_by_passkey(self, credential: str) -> HttpResponse:
        """Verify the passkey response ``credential``, and continue the sign-in."""
        try:
            proof = passkeys.prove(self.sign_in.user, credential, actor_of(self.request))
        except WrongPasskey as error:
            return self.show(passkey_error=str(error))
        return self.resume(proof)

    def resume(self, proof: Proof) -> HttpResponse:
        """Continue the sign-in after ``proof``.

        The browser becomes trusted if the user asked for that. An emailed code is not enough.
        """
        response = flow.resume(self.request, self.sign_in, proof)
        may_trust = "trust" in self.request.POST and proof.method in FACTORS
        if may_trust and self.request.user.is_authenticated:
            trusted_browsers.trust(self.request, response, self.sign_in.user)
        return response

    def mail_code(self) -> HttpResponse:
        """Email a code to the account's primary email address."""
        user, proofs, nonce = self.sign_in.user, self.sign_in.proofs, mailed_codes.new_nonce()
        second_step.send_code(user, proofs, nonce, client_of(self.request))
        pending.store(self.request, replace(self.sign_in, nonce=nonce))
        return redirect("second_step")

    def recover(self, act: str) -> HttpResponse:
        """Handle a request of a user who has lost every second factor.

        ``act``: ``ask`` requests the removal of all second factors, ``finish`` removes them, and
            ``stop`` stops the current request.
        """
        user, proofs = self.sign_in.user, self.sign_in.proofs
        actor = actor_of(self.request).by(*(proof.method for proof in proofs))
        shown = evidence.of_request(self.request, user, proofs, recovery.disputed_at(user))
        if act == "finish":
            recovery.remove_factors(user, shown, actor)
            messages.success(self.request, _("Your second factors were removed."))
            return flow.resume(self.request, self.sign_in)
        if act == "stop":
            recovery.cancel(user, shown, actor)
        else:
            recovery.ask(user, shown, actor)
        return redirect("second_step")


def page_context(
    request: HttpRequest,
    user: User,
    proofs: tuple[Proof, ...],
    form: SecondForm | None = None,
    *,
    nonce: str = "",
    passkey_error: str = "",
) -> dict[str, Any]:
    """Return the template context of the page that asks ``user`` for the second step.

    ``proofs``: the proofs that the user has already shown.
    ``nonce``: identifies the request of this browser for an emailed code; empty without a request.
    """
    wanted = request.GET.get("method", "")
    if form is not None and form.is_bound:
        wanted = request.POST.get("method", wanted)
    offer = second_step.offer(user, proofs, wanted=wanted, nonce=nonce)
    form = form or SecondForm()
    if offer.method in {SecondMethod.TOTP, SecondMethod.EMAIL}:
        form.fields["code"].widget.attrs["inputmode"] = "numeric"
    shown = evidence.of_request(request, user, proofs, recovery.disputed_at(user))
    wait = second_step.seconds_to_next_mail(user, client_of(request)) if offer.is_mailed else 0
    has_passkey = SecondMethod.PASSKEY in offer.accepted
    return {
        "form": form,
        "owner": user,
        # Staff without a factor only confirm their email here, to enrol one next.
        "enrols": not twofactor.has_any(user),
        "method": offer.method,
        "others": offer.others,
        "is_mailed": offer.is_mailed,
        "resend_wait": wait,
        "assessment": recovery.assess(user, shown),
        "recovery_hours": settings.AUTHSITE.factor_recovery_hours,
        "passkey_error": passkey_error,
        "passkey_options": json.dumps(passkeys.options_to_prove(user)) if has_passkey else None,
        "trust_days": policy.trusted_browser_days(user),
    }
