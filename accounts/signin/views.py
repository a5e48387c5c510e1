"""Signing in and out. The views translate; the door decides."""

from collections.abc import Callable
from functools import wraps

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

from accounts.codes.services import CODE_LIFE
from accounts.kernel import clock
from accounts.kernel.places import place_of
from accounts.kernel.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import fresh
from accounts.sessions.current import source_of, standing_of
from accounts.sessions.models import LoginSession
from accounts.signin import flow, mailed, policy, services
from accounts.signin.admission import readmit, sign_out
from accounts.signin.forms import CodeForm, LoginForm, PasswordForm, SecondForm, WhoForm
from accounts.twofactor import proving
from accounts.twofactor import services as twofactor
from accounts.users.models import PendingSignup

type View = Callable[[HttpRequest], HttpResponse]


def home_if_signed_in(view: View) -> View:
    """For pages that make no sense once signed in: they lead on instead."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            return redirect(flow.next_of(request) or settings.LOGIN_REDIRECT_URL)
        if standing_of(request).suspended:
            return fresh.ask(request)
        return view(request)

    return wrapped


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@home_if_signed_in
def login(request: HttpRequest) -> HttpResponse:
    """Sign in by username or address, and password."""
    form = LoginForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return _sign_in(request, form)
        except services.InvalidCredentials as error:
            form.add_error(None, str(error))
    context = {
        "form": form,
        "next": flow.next_of(request),
        "signup_open": settings.AUTHSITE.signup == "open",
    }
    return render(request, "accounts/signin/login.html", context)


def _sign_in(request: HttpRequest, form: LoginForm) -> HttpResponse:
    data = form.cleaned_data
    account = services.prove_password(data["login"], data["password"], place_of(request))
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
    nonce = mailed.new_nonce()
    mailed.send_code(form.cleaned_data["login"], nonce, place_of(request))
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
            user = mailed.prove_code(asked.login, asked.nonce, code, place_of(request))
            flow.forget_code(request)
            proof = Proof.now(Method.MAIL)
            return flow.begin(
                request, user, proof, remember=asked.remember, next_url=asked.next_url
            )
        except mailed.WrongCode as error:
            form.add_error("code", str(error))
    return _show_code(request, asked, form)


def _show_code(request: HttpRequest, asked: flow.CodeAsked, form: CodeForm) -> HttpResponse:
    context = {
        "form": form,
        "asked": asked,
        "resend_wait": mailed.seconds_to_next_mail(asked.login, place_of(request)),
    }
    return render(request, "accounts/signin/code.html", context)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Sign out by POST; a GET asks, since any page can make a browser send one."""
    standing = standing_of(request)
    if not (standing.login or standing.suspended):
        return redirect(settings.LOGIN_URL)
    if request.method != "POST":
        return render(request, "accounts/signin/logout.html")
    sign_out(request)
    messages.success(request, _("You are signed out."))
    return redirect(settings.LOGIN_URL)


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Show once more who one is: before a sensitive act, or in a browser that has changed."""
    standing = standing_of(request)
    login = standing.login or standing.suspended
    next_url = flow.next_of(request)
    if login is None:
        return redirect_to_login(next_url or resolve_url(settings.LOGIN_REDIRECT_URL))
    has_factor = twofactor.has_any(login.user)
    # A copied cookie and the password would be a way round the second step.
    wants_factor = has_factor and (standing.suspended is not None or not policy.suffices(login))
    password_form = PasswordForm(request.POST if "password" in request.POST else None)
    code_form = SecondForm(request.POST if "code" in request.POST else None)
    proof = None
    if has_factor and code_form.is_valid():
        proof = _prove_factor_again(request, login, code_form)
    elif not wants_factor and password_form.is_valid():
        proof = _prove_password_again(request, login, password_form)
    if proof:
        readmit(request, login, proof)
        return redirect(next_url or settings.LOGIN_REDIRECT_URL)
    context = {
        "form": code_form if code_form.is_bound else password_form,
        "password_form": password_form,
        "code_form": code_form,
        "next": next_url,
        "username": login.user.username,
        "has_changed": standing.suspended is not None,
        "takes_password": login.user.has_usable_password() and not wants_factor,
        "takes_code": has_factor,
    }
    return render(request, "accounts/signin/reauthenticate.html", context)


def _prove_password_again(
    request: HttpRequest, login: LoginSession, form: PasswordForm
) -> Proof | None:
    try:
        services.prove_again(login, form.cleaned_data["password"], place_of(request))
        return Proof.now(Method.PASSWORD)
    except services.InvalidCredentials:
        form.add_error("password", _("That is not your password."))
    return None


def _prove_factor_again(
    request: HttpRequest, login: LoginSession, form: SecondForm
) -> Proof | None:
    try:
        return proving.prove(login.user, form.cleaned_data["code"], source_of(request))
    except twofactor.WrongCode as error:
        form.add_error("code", str(error))
    return None


@login_not_required
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Says that the account was switched off."""
    return render(request, "accounts/signin/inactive.html", status=403)
