"""The pages of the second step of a sign-in, and of reauthentication."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from accounts.common.client_info import client_of
from accounts.common.forms import digits
from accounts.common.pages import allow_provider_redirects, form_page
from accounts.common.proofs import FACTORS, Proof
from accounts.recovery import services as recovery
from accounts.sessions.current import actor_of, request_auth_of
from accounts.sessions.models import LoginSession
from accounts.signin import flow, mailed_codes, policy, second_step, services
from accounts.signin.flow import PendingSignIn
from accounts.signin.forms import PasswordForm, SecondForm
from accounts.signin.policy import ReauthenticationMethods, Requirement
from accounts.signin.second_step import SecondMethod
from accounts.signin.session import record_reauthentication
from accounts.twofactor import passkeys, trusted_browsers, verification
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import WrongPasskey
from accounts.users.models import User

# The attributes of the input for a code. A recovery code has letters, and no fixed length.
DIGITS = {SecondMethod.TOTP: digits(6), SecondMethod.EMAIL: digits(8)}
# The buttons for a person who has lost every second factor.
RECOVERY_ACTIONS = {"ask", "finish", "stop", "support"}


@method_decorator([login_not_required, form_page], name="dispatch")
class SecondStepView(View):
    """Ask for the second step of a pending sign-in.

    The user shows a second factor or types an emailed code. A user who has lost every second factor
    can request their removal.
    """

    sign_in: PendingSignIn

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return redirect(settings.LOGIN_REDIRECT_URL)
        sign_in = flow.find_pending(request)
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
            return self.verify_passkey(request.POST["credential"])
        if "code" in request.POST:
            return self.verify_code()
        if "mail" in request.POST:
            return self.mail_code()
        if request.POST.get("lost") in RECOVERY_ACTIONS:
            return self.recover(request.POST["lost"])
        return self.show()

    def show(self, form: SecondForm | None = None, *, passkey_error: str = "") -> HttpResponse:
        """Return the page that asks for the second step.

        ``form``, ``passkey_error``: the errors of the posted code or passkey.
        """
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

    def verify_code(self) -> HttpResponse:
        """Check the typed code, and continue the sign-in."""
        sign_in, actor, client = self.sign_in, actor_of(self.request), client_of(self.request)
        form = SecondForm(self.request.POST)
        proof = form.check(
            lambda code: second_step.verify(
                sign_in.user, sign_in.proofs, code, actor, nonce=sign_in.nonce
            ),
            partial(second_step.send_code, sign_in.user, sign_in.proofs, sign_in.nonce, client),
        )
        return self.resume(proof) if proof else self.show(form)

    def verify_passkey(self, credential: str) -> HttpResponse:
        """Verify the passkey response ``credential``, and continue the sign-in."""
        try:
            proof = passkeys.verify(self.sign_in.user, credential, actor_of(self.request))
        except WrongPasskey as error:
            return self.show(passkey_error=str(error))
        return self.resume(proof)

    def resume(self, proof: Proof) -> HttpResponse:
        """Sign in after ``proof``, or redirect to the page for the next requirement.

        The browser becomes trusted if the user has ticked the box, unless ``proof`` is an emailed
        code.
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
        flow.store(self.request, replace(self.sign_in, nonce=nonce))
        return redirect("second_step")

    def recover(self, act: str) -> HttpResponse:
        """Handle a request of a user who has lost every second factor.

        ``act``: ``ask`` requests the removal of all second factors, ``finish`` removes them, and
            ``stop`` stops the current request.
        """
        user, proofs = self.sign_in.user, self.sign_in.proofs
        actor = actor_of(self.request).by(*(proof.method for proof in proofs))
        if act == "finish":
            recovery.remove_factors(user, *proofs, actor=actor)
            messages.success(self.request, _("Your passkeys and authenticator apps were removed."))
            return flow.resume(self.request, self.sign_in)
        if act == "stop":
            recovery.cancel(user, *proofs, actor=actor)
        elif act == "support":
            recovery.ask_support(user, *proofs, actor=actor)
        else:
            recovery.ask(user, *proofs, actor=actor)
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
    form.fields["code"].widget.attrs.update(DIGITS.get(offer.method, {}))
    wait = second_step.seconds_to_next_mail(user, client_of(request)) if offer.is_mailed else 0
    has_passkey = SecondMethod.PASSKEY in offer.accepted
    options = json.dumps(passkeys.options_for_second_step(user)) if has_passkey else None
    return {
        "form": form,
        "owner": user,
        # Staff without a factor only confirm their mailbox here, and then enrol a factor.
        "enrols": not twofactor.has_any(user),
        "method": offer.method,
        "others": offer.others,
        "is_mailed": offer.is_mailed,
        "resend_wait": wait,
        "assessment": recovery.assess(user, *proofs),
        "passkey_error": passkey_error,
        "passkey_options": options,
        "trust_days": policy.trusted_browser_days(user),
    }


@method_decorator(
    [
        login_not_required,
        form_page,
        allow_provider_redirects,
        sensitive_post_parameters("password"),
    ],
    name="dispatch",
)
class ReauthenticateView(View):
    """Ask a signed-in user to authenticate again.

    A sensitive action requires this if the last authentication is too old. Session protection
    requires it if the session cookie comes from a browser that did not sign in.
    """

    session: LoginSession
    methods: ReauthenticationMethods
    password_form: PasswordForm
    code_form: SecondForm
    passkey_error = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = request_auth_of(request).presented
        if session is None:
            next_url = flow.next_of(request) or resolve_url(settings.LOGIN_REDIRECT_URL)
            return redirect_to_login(next_url)
        self.session = session
        self.methods = policy.reauthentication_methods(session)
        if request.GET.get("require") == "passkey" and self.methods.passkey:
            # The page at ``next`` requires a passkey and checks it itself, so a code would not be
            # sufficient.
            self.methods = replace(self.methods, code=False)
        self.password_form = PasswordForm(request.POST if "password" in request.POST else None)
        self.code_form = SecondForm(request.POST if "code" in request.POST else None)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        proof = self.verify()
        if proof is None:
            return self.show()
        record_reauthentication(request, self.session, proof)
        return redirect(flow.next_of(request) or settings.LOGIN_REDIRECT_URL)

    def verify(self) -> Proof | None:
        """Return the posted proof if it is right.

        Otherwise, store the error for the page and return None.
        """
        if "credential" in self.request.POST:
            return self.verify_passkey(self.request.POST["credential"])
        if self.methods.code and self.code_form.is_bound:
            user, actor = self.session.user, actor_of(self.request)
            return self.code_form.check(lambda code: verification.verify(user, code, actor))
        if self.methods.password and self.password_form.is_valid():
            return self.verify_password(self.password_form.cleaned_data["password"])
        return None

    def verify_passkey(self, credential: str) -> Proof | None:
        """Return the proof if the passkey response ``credential`` is right, else None."""
        try:
            return passkeys.verify(self.session.user, credential, actor_of(self.request))
        except WrongPasskey as error:
            self.passkey_error = str(error)
        return None

    def verify_password(self, password: str) -> Proof | None:
        """Return the proof if ``password`` is the password of the signed-in user, else None."""
        try:
            return services.reverify_password(self.session, password, client_of(self.request))
        except services.InvalidCredentials:
            self.password_form.add_error("password", _("That isn’t your password."))
        return None

    def show(self) -> HttpResponse:
        """Return the page, with the errors of the posted form."""
        user, methods = self.session.user, self.methods
        options = json.dumps(passkeys.options_for_second_step(user)) if methods.passkey else ""
        context = {
            "form": self.code_form if self.code_form.is_bound else self.password_form,
            "password_form": self.password_form,
            "code_form": self.code_form,
            "next": flow.next_of(self.request),
            "username": user.username,
            "hint": flow.of(self.request),
            "has_changed": request_auth_of(self.request).needs_reauthentication,
            "takes_password": methods.password,
            "takes_code": methods.code,
            "provers": policy.provers(user),
            "passkey_error": self.passkey_error,
            "passkey_options": options,
        }
        return render(self.request, "accounts/signin/reauthenticate.html", context)
