"""Pages to sign up, to confirm a sign-up, and to accept an invitation."""

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
from accounts.codes.services import LinkEnded, WrongCode
from accounts.common.client_info import client_of
from accounts.common.pages import allow_provider_redirects, form_page, typed
from accounts.common.proofs import Method, Proof
from accounts.invitations import services as invitations
from accounts.passwords.forms import CurrentPasswordField
from accounts.passwords.views import with_meter
from accounts.signin import flow
from accounts.signin.forms import NewAccountForm
from accounts.signin.services import InvalidCredentials
from accounts.signin.views import home_if_signed_in
from accounts.signup import services
from accounts.signup.services import SignupEnded, passkey_page
from accounts.terms.forms import TermsField
from accounts.users.forms import EmailField
from accounts.users.models import PendingSignup, User
from accounts.users.services import UsernameTaken


class SignupForm(NewAccountForm):
    """The form for a new account with a password, or with a passkey that is added later.

    It has a check box for the terms if the site has any.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if settings.AUTHSITE.terms_version:
            self.fields["terms"] = TermsField()

    def clean(self) -> dict[str, Any]:
        """Ignore the password if the person chose to sign up with a passkey."""
        if "passkey" not in self.data:
            return super().clean()
        self.errors.pop("password1", None)
        return {**self.cleaned_data, "password1": None}


class CorrectEmailForm(forms.Form):
    """The form to correct the email address of a pending sign-up."""

    email = EmailField()


class ConfirmForm(forms.Form):
    """The form to confirm a sign-up with the emailed link.

    In a browser that did not sign up (``is_here`` is False), the form asks for the password, which
    only the person who signed up knows.
    """

    password = CurrentPasswordField()

    def __init__(self, *args: Any, is_here: bool) -> None:
        super().__init__(*args)
        if is_here:
            del self.fields["password"]


# By the value of the setting SIGNUP: the page for people who may not sign up.
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
    hint = flow.of(request)
    email = hint.login if hint and "@" in hint.login else ""
    initial = typed(request) or {"email": email}
    form = SignupForm(request.POST if request.method == "POST" else None, initial=initial)
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
        terms_version=data.get("terms", ""),
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
        signup = services.find_signup(flow.pending_of(request))
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
            lambda code: services.confirm_by_code(signup, code, client),
            lambda: services.send_again(signup, client=client),
        )
        if user is None:
            return self.show(form=form)
        return _sign_in(self.request, user, signup, services.proof_of_browser(signup))

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
        """Return the page for a browser that has no pending sign-up."""
        if self.request.user.is_authenticated:
            return redirect(settings.LOGIN_REDIRECT_URL)
        # The sign-up of this browser may have been confirmed in another browser.
        context = {"waited": flow.pending_of(self.request) is not None}
        return render(self.request, "accounts/signup/confirm_none.html", context)


@login_not_required
@form_page
@sensitive_post_parameters("password")
def confirm_link(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm a sign-up with the emailed link.

    Only a POST request confirms, because mail scanners open links with GET requests.
    """
    signup = services.find_signup_by_link(key)
    if signup is None:
        return render(request, "accounts/signup/confirm_dead.html", status=404)
    is_here = flow.pending_of(request) == str(signup.pk)
    if not (is_here or services.has_password(signup)):
        there = {"username": signup.username, "email": signup.email}
        return render(request, "accounts/signup/confirm_there.html", there, status=403)
    form = ConfirmForm(request.POST if request.method == "POST" else None, is_here=is_here)
    if form.is_valid():
        try:
            proof = (
                services.proof_of_browser(signup)
                if is_here
                else services.proof_of_password(
                    signup, form.cleaned_data["password"], client_of(request)
                )
            )
            user = services.confirm_by_link(signup, key, client_of(request))
            return _sign_in(request, user, signup, proof)
        except InvalidCredentials:
            form.add_error("password", _("That isn’t the password that you signed up with."))
        except WrongCode:
            return render(request, "accounts/signup/confirm_dead.html", status=404)
    context = {"form": form, "username": signup.username, "email": signup.email}
    return render(request, "accounts/signup/confirm_link.html", context)


def _sign_in(
    request: HttpRequest, user: User, signup: PendingSignup, password: Proof
) -> HttpResponse:
    """Sign in ``user``, who was created from ``signup``.

    If the sign-up has no password, the page to add a passkey opens after the sign-in, unless the
    sign-in flow itself asks for a second factor.

    ``password``: the proof of the password.
    """
    next_url = (
        signup.next if services.has_password(signup) else services.passkey_page(user, signup.next)
    )
    return flow.start_sign_in(
        request,
        user,
        *services.proofs_of(signup, password),
        remember=bool(request.session.get(flow.REMEMBER)),
        next_url=next_url,
    )


class InvitedForm(SignupForm):
    """The form for a username and a password. The email address is the invited one."""

    email = None  # type: ignore[assignment]  # removes the inherited field

    def __init__(self, email: str, *args: Any) -> None:
        super().__init__(*args)
        self.invited_email = email

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["email"] = self.invited_email
        return super().clean()


@login_not_required
@form_page
@with_meter
@sensitive_post_parameters("password1")
@home_if_signed_in
def invitation(request: HttpRequest, key: str) -> HttpResponse:
    """Show an invitation, and create an account for the invited person.

    Only a POST request accepts, because mail scanners open links with GET requests.
    """
    found = invitations.find_by_link(key)
    if found is None:
        return _show_dead(request)
    form = InvitedForm(found.email, request.POST if request.method == "POST" else None)
    if form.is_valid():
        data, client = form.cleaned_data, client_of(request)
        username, password = data["username"], data["password1"]
        try:
            user = services.accept_invitation(
                key, username, password, client, terms_version=data.get("terms", "")
            )
            return _sign_in_invited(request, user, has_password=password is not None)
        except UsernameTaken as error:
            form.add_error("username", str(error))
        except LinkEnded:
            return _show_dead(request)
    context = {"form": form, "email": found.email}
    return render(request, "accounts/signup/invited.html", context)


def _sign_in_invited(request: HttpRequest, user: User, *, has_password: bool) -> HttpResponse:
    proofs = [Proof.now(Method.MAIL)]
    if has_password:
        proofs.insert(0, Proof.now(Method.PASSWORD))
    next_url = "" if has_password else passkey_page(user)
    return flow.start_sign_in(request, user, *proofs, next_url=next_url)


def _show_dead(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/signup/invitation_dead.html", status=404)
