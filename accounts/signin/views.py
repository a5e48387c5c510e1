"""Signing in and out. The views translate; the door decides."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.kernel.places import place_of
from accounts.kernel.proofs import Method, Proof
from accounts.sessions import fresh
from accounts.sessions.current import standing_of
from accounts.signin import flow, services
from accounts.signin.admission import readmit, sign_out
from accounts.signin.forms import LoginForm, PasswordForm
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
    return flow.begin(request, account, proof, remember=data["remember"], next_url=next_url)


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
    form = PasswordForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            services.prove_again(login, form.cleaned_data["password"], place_of(request))
            readmit(request, login, Proof.now(Method.PASSWORD))
            return redirect(next_url or settings.LOGIN_REDIRECT_URL)
        except services.InvalidCredentials:
            form.add_error("password", _("That is not your password."))
    context = {
        "form": form,
        "next": next_url,
        "username": login.user.username,
        "has_changed": standing.suspended is not None,
        "has_password": login.user.has_usable_password(),
    }
    return render(request, "accounts/signin/reauthenticate.html", context)


@login_not_required
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Says that the account was switched off."""
    return render(request, "accounts/signin/inactive.html", status=403)
