"""Pages to sign up, and to confirm a sign-up with the emailed code or link."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from accounts.codes.forms import CodeForm
from accounts.codes.services import WrongCode
from accounts.common.client_info import client_of
from accounts.common.pages import allow_provider_redirects, form_page
from accounts.common.proofs import Proof
from accounts.passwords.views import with_meter
from accounts.signin import flow, hints
from accounts.signin.services import InvalidCredentials
from accounts.signin.views import home_if_signed_in
from accounts.signup import confirmation, proofs, services
from accounts.signup.errors import SignupEnded
from accounts.signup.forms import ConfirmForm, CorrectEmailForm, SignupForm
from accounts.users.models import PendingSignup, User
from accounts.users.services import UsernameTaken

# By the value of the setting SIGNUP: the page for people who cannot sign up.
CLOSED_PAGES = {
    "invite": "accounts/signup/by_invitation.html",
    "closed": "accounts/signup/closed.html",
}


@login_not_required
@form_page
@allow_provider_redirects
@with_meter
@sensitive_post_parameters("password1")
@home_if_signed_in
def signup(request: HttpRequest) -> HttpResponse:
    """Ask for a username, an email address and a password, and email a code and a link."""
    if settings.AUTHSITE.signup != "open":
        return render(request, CLOSED_PAGES[settings.AUTHSITE.signup], status=403)
    hint = hints.of(request)
    email = hint.login if hint and "@" in hint.login else ""
    form = SignupForm(request.POST if request.method == "POST" else None, initial={"email": email})
    if form.is_valid():
        try:
            flow.remember_pending(request, _sign_up(request, form))
            return redirect("signup_confirm")
        except UsernameTaken as error:
            form.add_error("username", str(error))
    context = {"form": form, "next": flow.next_of(request), "hint": hint}
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


@method_decorator(
    [login_not_required, form_page],
    name="dispatch",
)
class ConfirmView(View):
    """Show the page of the pending sign-up of this browser.

    The user can type the emailed code, request another code, or correct the email address.
    """

    signup: PendingSignup

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        signup = services.find(flow.pending_of(request))
        if signup is None:
            return self.show_none()
        self.signup = signup
        try:
            return super().dispatch(request, *args, **kwargs)
        except SignupEnded:
            return redirect("signup_confirm")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        if "resend" in request.POST:
            services.send_again(self.signup, client=client_of(request))
            return redirect("signup_confirm")
        if "correct" in request.POST:
            return self.correct()
        return self.confirm()

    def confirm(self) -> HttpResponse:
        """Create the user and sign in if the code is right. Otherwise, show the error."""
        signup, client = self.signup, client_of(self.request)
        form = CodeForm(self.request.POST)
        user = form.check(
            lambda code: confirmation.confirm_by_code(signup, code, client),
            lambda: services.send_again(signup, client=client),
        )
        if user is None:
            return self.show(form=form)
        return _sign_in(self.request, user, signup, proofs.prove_here(signup))

    def correct(self) -> HttpResponse:
        """Replace the email address of the sign-up, and email a code to the new one."""
        form = CorrectEmailForm(self.request.POST, auto_id="id_correct_%s")
        if not form.is_valid():
            return self.show(address_form=form)
        email = form.cleaned_data["email"]
        services.correct_email(self.signup, email, client=client_of(self.request))
        return redirect("signup_confirm")

    def show(
        self, *, form: forms.Form | None = None, address_form: forms.Form | None = None
    ) -> HttpResponse:
        """Return the page, with the errors of its forms."""
        context = {
            "username": self.signup.username,
            "email": self.signup.email,
            "form": form or CodeForm(),
            "address_form": address_form or CorrectEmailForm(auto_id="id_correct_%s"),
            "resend_wait": services.seconds_to_next_mail(self.signup),
        }
        return render(self.request, "accounts/signup/confirm.html", context)

    def show_none(self) -> HttpResponse:
        """Return the page that says that this browser has no pending sign-up."""
        if self.request.user.is_authenticated:
            return redirect(settings.LOGIN_REDIRECT_URL)
        # The sign-up of this browser may have been confirmed in another one.
        context = {"waited": flow.pending_of(self.request) is not None}
        return render(self.request, "accounts/signup/confirm_none.html", context)


@login_not_required
@form_page
@sensitive_post_parameters("password")
def confirm_link(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm a sign-up with the emailed link.

    Only a POST request confirms, because mail scanners open links with GET requests.
    """
    signup = services.find_by_link(key)
    if signup is None:
        return render(request, "accounts/signup/confirm_dead.html", status=404)
    is_here = flow.pending_of(request) == str(signup.pk)
    if not (is_here or proofs.has_password(signup)):
        there = {"username": signup.username, "email": signup.email}
        return render(request, "accounts/signup/confirm_there.html", there, status=403)
    form = ConfirmForm(request.POST if request.method == "POST" else None, is_here=is_here)
    if form.is_valid():
        try:
            proof = proofs.prove_here(signup) if is_here else _prove_password(request, signup, form)
            user = confirmation.confirm_by_link(signup, key, client_of(request))
            return _sign_in(request, user, signup, proof)
        except InvalidCredentials:
            form.add_error("password", _("That isn’t the password that you signed up with."))
        except WrongCode:
            return render(request, "accounts/signup/confirm_dead.html", status=404)
    context = {"form": form, "username": signup.username, "email": signup.email}
    return render(request, "accounts/signup/confirm_link.html", context)


def _prove_password(request: HttpRequest, signup: PendingSignup, form: forms.Form) -> Proof:
    return proofs.prove_elsewhere(signup, form.cleaned_data["password"], client_of(request))


def _sign_in(
    request: HttpRequest, user: User, signup: PendingSignup, password: Proof
) -> HttpResponse:
    """Sign in ``user``, who was created from ``signup``.

    If the sign-up has no password, the page to add a passkey opens after the sign-in, unless the
    sign-in flow itself asks for a second factor.

    ``password``: the proof of the password.
    """
    next_url = (
        signup.next if proofs.has_password(signup) else proofs.passkey_page(user, signup.next)
    )
    return flow.start_sign_in(
        request,
        user,
        *proofs.proofs_of(signup, password),
        remember=bool(request.session.get(flow.REMEMBER)),
        next_url=next_url,
    )
