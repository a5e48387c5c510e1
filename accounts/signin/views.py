"""Signing in and out. The views translate; the door decides."""

import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.codes import services as codes
from accounts.codes.services import CODE_LIFE
from accounts.common import clock
from accounts.common.client_info import client_of
from accounts.common.csp import allow_provider_redirects
from accounts.common.errors import Busy, RateLimited
from accounts.common.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import reauthentication
from accounts.sessions.current import actor_of, request_auth_of
from accounts.sessions.models import LoginSession
from accounts.signin import flow, mailed_codes, pending, policy, rate_limited, services
from accounts.signin.forms import CodeForm, LoginForm, PasswordForm, SecondForm, WhoForm
from accounts.signin.session import record_reauthentication, sign_out
from accounts.twofactor import passkeys, verification
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import WrongFactorCode, WrongPasskey
from accounts.users.models import PendingSignup

type View = Callable[[HttpRequest], HttpResponse]


def home_if_signed_in(view: View) -> View:
    """For pages that make no sense once signed in: they lead on instead."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            return redirect(flow.next_of(request) or settings.LOGIN_REDIRECT_URL)
        if request_auth_of(request).needs_reauthentication:
            return reauthentication.redirect_to_reauthenticate(request)
        return view(request)

    return wrapped


@login_not_required
@never_cache
@allow_provider_redirects
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@home_if_signed_in
def login(request: HttpRequest) -> HttpResponse:
    """Sign in by username or address, and password; ``?other`` gives up a first step taken here."""
    if "other" in request.GET:
        pending.discard(request)
    if "again" in request.POST:
        # From the page of ``later``: the form is shown with what was typed before.
        form = LoginForm(initial=request.POST.dict())
    else:
        form = LoginForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return _sign_in(request, form)
        except Busy:
            raise
        except RateLimited as error:
            return rate_limited.page(request, form, error)
        except services.LockedAccountPassword as error:
            return flow.recover(request, error.user, Proof.now(Method.PASSWORD))
        except services.InvalidCredentials as error:
            form.add_error(None, str(error))
    return render(request, "accounts/signin/login.html", login_context(request, form))


def login_context(request: HttpRequest, form: LoginForm) -> dict[str, Any]:
    """What the sign-in page shows, by whichever way somebody has tried."""
    return {
        "form": form,
        "next": flow.next_of(request),
        "signup_open": settings.AUTHSITE.signup == "open",
        "passkey_options": json.dumps(passkeys.options_to_sign_in()),
    }


def _sign_in(request: HttpRequest, form: LoginForm) -> HttpResponse:
    data = form.cleaned_data
    account = services.prove_password(data["login"], data["password"], client_of(request))
    next_url = flow.next_of(request)
    if isinstance(account, PendingSignup) and next_url:
        services.keep_next(account, next_url)
    proof = Proof.now(Method.PASSWORD)
    # Known since it was chosen: whoever has the list would be let in, too (ASVS 6.2.12).
    if passwords.is_compromised(data["password"]):
        query = urlencode({"reason": "stolen", "next": next_url})
        next_url = f"{reverse('account_change_password')}?{query}"
    return flow.begin(request, account, proof, remember=data["remember"], next_url=next_url)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@home_if_signed_in
def login_code(request: HttpRequest) -> HttpResponse:
    """Sign in by a code that is mailed: first who one is, then the code, in the same browser."""
    asked = flow.code_asked(request)
    if "code" in request.POST and asked:
        return _sign_in_by_code(request, asked)
    if "login" in request.POST:
        return _ask_for_code(request)
    if "code" in request.POST:
        sentence = _(
            "That code was asked for in another browser, or too long ago. Ask for a new one."
        )
        messages.warning(request, sentence)
    if asked and "other" not in request.GET:
        return _show_code(request, asked, CodeForm())
    context = {"form": WhoForm(), "next": flow.next_of(request)}
    return render(request, "accounts/signin/code_ask.html", context)


def _ask_for_code(request: HttpRequest) -> HttpResponse:
    form = WhoForm(request.POST)
    if not form.is_valid():
        context = {"form": form, "next": flow.next_of(request)}
        return render(request, "accounts/signin/code_ask.html", context)
    nonce = mailed_codes.new_nonce()
    mailed_codes.send_code(form.cleaned_data["login"], nonce, client_of(request))
    asked = flow.CodeAsked(
        form.cleaned_data["login"],
        nonce,
        form.cleaned_data["remember"],
        flow.next_of(request),
        (clock.now() + CODE_LIFE).timestamp(),
    )
    flow.remember_code(request, asked)
    return redirect("login_code")


def _sign_in_by_code(request: HttpRequest, asked: flow.CodeAsked) -> HttpResponse:
    form = CodeForm(request.POST)
    if form.is_valid():
        try:
            code = form.cleaned_data["code"]
            user, proof = mailed_codes.prove_code(
                asked.login, asked.nonce, code, client_of(request)
            )
            flow.forget_code(request)
            return flow.begin(
                request, user, proof, remember=asked.remember, next_url=asked.next_url
            )
        except codes.UsedUp:
            client = client_of(request)
            send = partial(mailed_codes.send_code, asked.login, asked.nonce, client)
            form.add_error("code", codes.renewed(send))
        except codes.WrongCode as error:
            form.add_error("code", str(error))
    return _show_code(request, asked, form)


def _show_code(request: HttpRequest, asked: flow.CodeAsked, form: CodeForm) -> HttpResponse:
    context = {
        "form": form,
        "asked": asked,
        "resend_wait": mailed_codes.seconds_to_next_mail(asked.login, client_of(request)),
    }
    return render(request, "accounts/signin/code.html", context)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Sign out by POST; a GET asks, since any page can make a browser send one."""
    request_auth = request_auth_of(request)
    if not request_auth.presented:
        pending.discard(request)
        return redirect(settings.LOGIN_URL)
    if request.method != "POST":
        return render(request, "accounts/signin/logout.html")
    sign_out(request)
    messages.success(request, _("You are signed out."))
    return redirect(settings.LOGIN_URL)


@login_not_required
@never_cache
@allow_provider_redirects
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Show once more who one is: before a sensitive act, or in a browser that has changed."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    next_url = flow.next_of(request)
    if session is None:
        return redirect_to_login(next_url or resolve_url(settings.LOGIN_REDIRECT_URL))
    again = _Again(request, session)
    if proof := again.prove():
        record_reauthentication(request, session, proof)
        return redirect(next_url or settings.LOGIN_REDIRECT_URL)
    return again.show(next_url, has_changed=request_auth.needs_reauthentication)


class _Again:
    """One request to the page that asks for another proof."""

    def __init__(self, request: HttpRequest, session: LoginSession) -> None:
        self.request, self.session = request, session
        self.has_passkey = twofactor.has_passkey(session.user)
        self.has_factor = self.has_passkey or twofactor.has_any(session.user)
        # A code would not be recent authentication where only a passkey is.
        is_passkeys = self.has_passkey and policy.needs_passkey(session.user)
        self.takes_code = self.has_factor and not is_passkeys
        posted = request.POST
        self.password_form = PasswordForm(posted if "password" in posted else None)
        self.code_form = SecondForm(posted if "code" in posted else None)
        self.passkey_error = ""

    def prove(self) -> Proof | None:
        """What was shown by what was posted; None if nothing was, and then the forms say why."""
        if "credential" in self.request.POST:
            return self._prove_passkey()
        if self.takes_code and self.code_form.is_valid():
            return self._prove_code()
        if not self.has_factor and self.password_form.is_valid():
            return self._prove_password()
        return None

    def show(self, next_url: str, *, has_changed: bool) -> HttpResponse:
        user = self.session.user
        context = {
            "form": self.code_form if self.code_form.is_bound else self.password_form,
            "password_form": self.password_form,
            "code_form": self.code_form,
            "next": next_url,
            "username": user.username,
            "has_changed": has_changed,
            "takes_password": user.has_usable_password() and not self.has_factor,
            "takes_code": self.takes_code,
            "provers": policy.provers(user),
            "passkey_error": self.passkey_error,
            "passkey_options": json.dumps(passkeys.options_to_prove(user))
            if self.has_passkey
            else "",
        }
        return render(self.request, "accounts/signin/reauthenticate.html", context)

    def _prove_passkey(self) -> Proof | None:
        credential, actor = self.request.POST["credential"], actor_of(self.request)
        try:
            return passkeys.prove(self.session.user, credential, actor)
        except WrongPasskey as error:
            self.passkey_error = str(error)
        return None

    def _prove_code(self) -> Proof | None:
        code, actor = self.code_form.cleaned_data["code"], actor_of(self.request)
        try:
            return verification.prove(self.session.user, code, actor)
        except WrongFactorCode as error:
            self.code_form.add_error("code", str(error))
        return None

    def _prove_password(self) -> Proof | None:
        password = self.password_form.cleaned_data["password"]
        try:
            services.prove_again(self.session, password, client_of(self.request))
            return Proof.now(Method.PASSWORD)
        except services.InvalidCredentials:
            self.password_form.add_error("password", _("That is not your password."))
        return None


@login_not_required
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Says that the account was switched off."""
    return render(request, "accounts/signin/inactive.html", status=403)
