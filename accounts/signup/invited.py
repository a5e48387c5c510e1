"""The page that an invitation links to, where the invited person creates an account."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes.services import LinkSpent
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.languages import spoken
from accounts.common.pages import form_page
from accounts.common.proofs import Method, Proof
from accounts.invitations import services as invitations
from accounts.passwords import services as passwords
from accounts.passwords.views import with_meter
from accounts.signin import flow
from accounts.signin.views import home_if_signed_in
from accounts.signup.forms import SignupForm
from accounts.signup.proofs import passkey_page
from accounts.throttle.services import of_sign_up, spend
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.services import EmailTaken, UsernameTaken


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
    found = invitations.find(key)
    if found is None:
        return _show_dead(request)
    form = InvitedForm(found.email, request.POST if request.method == "POST" else None)
    if form.is_valid():
        username, password = form.cleaned_data["username"], form.cleaned_data["password1"]
        try:
            user = accept(key, username, password, client_of(request))
            return _sign_in(request, user, has_password=password is not None)
        except UsernameTaken as error:
            form.add_error("username", str(error))
        except LinkSpent:
            return _show_dead(request)
    context = {"form": form, "email": found.email}
    return render(request, "accounts/signup/invited.html", context)


def accept(token: str, username: str, password: str | None, client: ClientInfo) -> User:
    """Create the account of an invited person, and return the user.

    The link proves that the person reads the mailbox, so the email address counts as confirmed.

    ``username``, ``password``: must be validated.
    ``password``: None if the user will add a passkey after the sign-in.

    Raises:
        LinkSpent: the invitation is not valid any more, or an account has got its email address.
        UsernameTaken: the username is taken, or looks like one that is taken. The link stays valid.
        RateLimited: there were too many attempts, or all hashing slots are busy.
    """
    spend(*of_sign_up(client))
    hashed = passwords.hash_password(password) if password else make_password(None)
    try:
        with transaction.atomic():
            invited = invitations.spend(token)
            # Before the username: this deletes pending sign-ups, which may hold it.
            users.delete_signups_for(invited.email)
            users.take_username(username, until=None)
            user = users.create_user(username, hashed, language=spoken())
            users.confirm_email(user, invited.email)
            record(user, events.SIGNED_UP, Actor(client))
            invitations.accept(user, invited.email)
    except EmailTaken:
        raise LinkSpent from None
    return user


def _sign_in(request: HttpRequest, user: User, *, has_password: bool) -> HttpResponse:
    proofs = [Proof.now(Method.MAIL)]
    if has_password:
        proofs.insert(0, Proof.now(Method.PASSWORD))
    next_url = "" if has_password else passkey_page(user)
    return flow.start_sign_in(request, user, *proofs, next_url=next_url)


def _show_dead(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/signup/invitation_dead.html", status=404)
