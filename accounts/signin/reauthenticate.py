"""The page where a signed-in person reauthenticates."""

import json
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from accounts.common.client_info import client_of
from accounts.common.pages import allow_provider_redirects, form_page
from accounts.common.proofs import Proof
from accounts.sessions.current import actor_of, request_auth_of
from accounts.sessions.models import LoginSession
from accounts.signin import flow, hints, policy, services
from accounts.signin.forms import PasswordForm, SecondForm
from accounts.signin.policy import ReauthenticationMethods
from accounts.signin.session import record_reauthentication
from accounts.twofactor import passkeys, verification
from accounts.twofactor.errors import WrongPasskey


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
        self.methods = policy.reauthentication_methods(session.user)
        if request.GET.get("require") == "passkey" and self.methods.passkey:
            # The page at ``next`` requires a passkey and checks that itself. A code would not do.
            self.methods = replace(self.methods, code=False)
        self.password_form = PasswordForm(request.POST if "password" in request.POST else None)
        self.code_form = SecondForm(request.POST if "code" in request.POST else None)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        proof = self.prove()
        if proof is None:
            return self.show()
        record_reauthentication(request, self.session, proof)
        return redirect(flow.next_of(request) or settings.LOGIN_REDIRECT_URL)

    def prove(self) -> Proof | None:
        """Return the posted proof if it is right.

        Otherwise, store the error for the page and return None.
        """
        if "credential" in self.request.POST:
            return self.prove_by_passkey(self.request.POST["credential"])
        if self.methods.code and self.code_form.is_bound:
            user, actor = self.session.user, actor_of(self.request)
            return self.code_form.check(lambda code: verification.prove(user, code, actor))
        if self.methods.password and self.password_form.is_valid():
            return self.prove_by_password(self.password_form.cleaned_data["password"])
        return None

    def prove_by_passkey(self, credential: str) -> Proof | None:
        """Return the proof if the passkey response ``credential`` is right, else None."""
        try:
            return passkeys.prove(self.session.user, credential, actor_of(self.request))
        except WrongPasskey as error:
            self.passkey_error = str(error)
        return None

    def prove_by_password(self, password: str) -> Proof | None:
        """Return the proof if ``password`` is that of the signed-in user, else None."""
        try:
            return services.reverify_password(self.session, password, client_of(self.request))
        except services.InvalidCredentials:
            self.password_form.add_error("password", _("That isn’t your password."))
        return None

    def show(self) -> HttpResponse:
        """Return the page, with the errors of the posted form."""
        user, methods = self.session.user, self.methods
        options = json.dumps(passkeys.options_to_prove(user)) if methods.passkey else ""
        context = {
            "form": self.code_form if self.code_form.is_bound else self.password_form,
            "password_form": self.password_form,
            "code_form": self.code_form,
            "next": flow.next_of(self.request),
            "username": user.username,
            "hint": hints.of(self.request),
            "has_changed": request_auth_of(self.request).needs_reauthentication,
            "takes_password": methods.password and user.has_usable_password(),
            "takes_code": methods.code,
            "provers": policy.provers(user),
            "passkey_error": self.passkey_error,
            "passkey_options": options,
        }
        return render(self.request, "accounts/signin/reauthenticate.html", context)
