"""The pages of a sign-up."""

from functools import partial
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.codes import services as codes
from accounts.codes.services import WrongCode
from accounts.common.client_info import client_of
from accounts.common.csp import allow_provider_redirects
from accounts.common.proofs import Method, Proof
from accounts.passwords.views import with_meter
from accounts.signin import flow
from accounts.signin.services import InvalidCredentials, prove_password
from accounts.signin.views import home_if_signed_in
from accounts.signup import services
from accounts.signup.errors import SignupEnded
from accounts.signup.forms import (
    ConfirmCodeForm,
    ConfirmElsewhereForm,
    ConfirmHereForm,
    CorrectEmailForm,
    SignupForm,
)
from accounts.twofactor import services as twofactor
from accounts.users.models import PendingSignup, User
from accounts.users.services import UsernameTaken


@login_not_required
@never_cache
@allow_provider_redirects
@with_meter
@sensitive_post_parameters("password1")
@require_http_methods(["GET", "HEAD", "POST"])
@home_if_signed_in
def signup(request: HttpRequest) -> HttpResponse:
    """Choose a name and a password; the rest happens by mail."""
    if settings.AUTHSITE.signup != "open":
        return render(request, "accounts/signup/closed.html", status=403)
    form = SignupForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            flow.remember_pending(request, _sign_up(request, form))
            return redirect("signup_confirm")
        except UsernameTaken as error:
            form.add_error("username", str(error))
    context = {"form": form, "next": flow.next_of(request)}
    return render(request, "accounts/signup/signup.html", context)


def _sign_up(request: HttpRequest, form: SignupForm) -> PendingSignup:
    data = form.cleaned_data
    return services.sign_up(
        data["username"],
        data["email"],
        data["password1"],
        client=client_of(request),
        next_url=flow.next_of(request),
        instead_of=flow.pending_of(request),
    )


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Confirm by code, ask for another mail, or correct the address, for this browser's sign-up."""
    signup = services.find(flow.pending_of(request))
    if signup is None:
        return _nothing_waits(request)
    try:
        return _act(request, signup)
    except SignupEnded:
        return redirect("signup_confirm")


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_link(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm by the link of the mail; by POST only, since mail scanners open links."""
    signup = services.find_by_link(key)
    if signup is None:
        return render(request, "accounts/signup/confirm_dead.html", status=404)
    is_here = flow.pending_of(request) == str(signup.pk)
    if not (is_here or services.has_password(signup)):
        # There is nothing that whoever opens it here could show.
        there = {"username": signup.username, "email": signup.email}
        return render(request, "accounts/signup/confirm_there.html", there, status=403)
    form = _link_form(is_here)(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            proof = _proved_here(signup) if is_here else _prove_password(request, signup, form)
            user = services.confirm_by_link(signup, key, client_of(request))
            return _enter(request, user, signup, proof)
        except InvalidCredentials:
            form.add_error("password", _("That is not the password of this sign-up."))
        except WrongCode:
            return render(request, "accounts/signup/confirm_dead.html", status=404)
    context = {"form": form, "username": signup.username, "email": signup.email}
    return render(request, "accounts/signup/confirm_link.html", context)


def _act(request: HttpRequest, signup: PendingSignup) -> HttpResponse:
    if "resend" in request.POST:
        services.send_again(signup, client=client_of(request))
        return redirect("signup_confirm")
    if "correct" in request.POST:
        return _correct(request, signup)
    if request.method == "POST":
        return _confirm_by_code(request, signup)
    return _show(request, signup)


def _link_form(is_here: bool) -> type[forms.Form]:
    return ConfirmHereForm if is_here else ConfirmElsewhereForm


def _prove_password(request: HttpRequest, signup: PendingSignup, form: forms.Form) -> Proof:
    """At the price of a sign-in attempt, so that the link is no way round the limits."""
    account = prove_password(signup.username, form.cleaned_data["password"], client_of(request))
    if account.pk != signup.pk:
        raise InvalidCredentials
    return Proof.now(Method.PASSWORD)


def _confirm_by_code(request: HttpRequest, signup: PendingSignup) -> HttpResponse:
    form = ConfirmCodeForm(request.POST)
    if form.is_valid():
        try:
            code = form.cleaned_data["code"]
            user = services.confirm_by_code(signup, code, client_of(request))
            return _enter(request, user, signup, _proved_here(signup))
        except codes.UsedUp:
            send = partial(services.send_again, signup, client=client_of(request))
            form.add_error("code", codes.renewed(send))
        except WrongCode as error:
            form.add_error("code", str(error))
    return _show(request, signup, form=form)


def _correct(request: HttpRequest, signup: PendingSignup) -> HttpResponse:
    form = CorrectEmailForm(request.POST, auto_id="id_correct_%s")
    if not form.is_valid():
        return _show(request, signup, address_form=form)
    email = form.cleaned_data["email"]
    services.correct_email(signup, email, client=client_of(request))
    return redirect("signup_confirm")


def _proved_here(signup: PendingSignup) -> Proof:
    """The password was given in this browser, at the earliest when the sign-up began."""
    return Proof(Method.PASSWORD, services.begun_at(signup))


def _enter(
    request: HttpRequest, user: User, signup: PendingSignup, password: Proof
) -> HttpResponse:
    """This browser knows the password and somebody at it reads the mailbox: sign in.

    Without a password the mailbox is all there is, until a passkey is added on the next page. Who
    must have a factor is led there by the door.
    """
    proofs, next_url = [Proof.now(Method.MAIL)], signup.next
    if services.has_password(signup):
        proofs.insert(0, password)
    elif not twofactor.is_required(user):
        query = f"?{urlencode({'next': next_url})}" if next_url else ""
        next_url = reverse("passkey_add") + query
    return flow.begin(
        request,
        user,
        *proofs,
        remember=bool(request.session.get(flow.REMEMBER)),
        next_url=next_url,
    )


def _show(
    request: HttpRequest,
    signup: PendingSignup,
    *,
    form: forms.Form | None = None,
    address_form: forms.Form | None = None,
) -> HttpResponse:
    context = {
        "username": signup.username,
        "email": signup.email,
        "form": form or ConfirmCodeForm(),
        "address_form": address_form or CorrectEmailForm(auto_id="id_correct_%s"),
        "resend_wait": services.seconds_to_next_mail(signup),
    }
    return render(request, "accounts/signup/confirm.html", context)


def _nothing_waits(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    # What this browser waited for may have been confirmed in another one.
    context = {"waited": flow.pending_of(request) is not None}
    return render(request, "accounts/signup/confirm_none.html", context)
