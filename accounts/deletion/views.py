"""The pages that request the deletion of an account, and that keep the account."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError
from accounts.common.forms import no_longer_than, text_input
from accounts.common.pages import form_page
from accounts.common.proofs import Method
from accounts.deletion import services
from accounts.sessions import current, last_method
from accounts.signin import flow
from accounts.signin.policy import Requirement
from accounts.signin.recent import recent_authentication_required
from accounts.users import usernames
from accounts.users.models import User


class DeletionForm(forms.Form):
    """A form that requires the username, so that nobody deletes an account by mistake."""

    username = forms.CharField(
        label=_("Type your username to confirm"),
        error_messages={"required": _("Enter your username.")},
        validators=[no_longer_than(4 * usernames.MAX_LENGTH)],
        widget=text_input("off"),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_username(self) -> str:
        typed: str = self.cleaned_data["username"]
        if not services.is_name_of(self.user, typed):
            raise forms.ValidationError(_("That isn’t the username of this account."))
        return typed


@form_page
@recent_authentication_required
def delete(request: HttpRequest) -> HttpResponse:
    """Request the deletion of the account of the signed-in user."""
    session = current.session_of(request)
    user = session.user
    form = DeletionForm(user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            due = services.request_own(user, current.actor_of(request).by(*session.amr))
        except PublicError as error:
            form.add_error(None, str(error))
        else:
            current.forget(request, user)
            last_method.forget(request)
            return render(request, "accounts/deletion/requested.html", {"due": due, "owner": user})
    context = {"form": form, "effects": services.effects_on(user)}
    return render(request, "accounts/deletion/delete.html", context)


@login_not_required
@form_page
def keep(request: HttpRequest) -> HttpResponse:
    """Ask a user who is signing in whether to keep the account; then continue the sign-in."""
    sign_in = flow.find_pending(request)
    if sign_in is None:
        return flow.restart(request)
    if sign_in.requirement is not Requirement.KEEP_ACCOUNT:
        return flow.resume(request, sign_in)
    if "leave" in request.POST:
        flow.discard(request)
        messages.info(request, gettext("Nothing was changed. Your account will still be deleted."))
        return redirect("account_login")
    if request.method == "POST":
        methods = (proof.method for proof in sign_in.proofs)
        if services.undo(sign_in.user, current.actor_of(request).by(*methods)):
            messages.success(request, gettext("Your account will not be deleted."))
        return redirect("deletion_keep")
    return render(request, "accounts/deletion/keep.html", {"owner": sign_in.user})


@login_not_required
@form_page
def undo_link(request: HttpRequest, token: str) -> HttpResponse:
    """Keep the account by the link in the email about its deletion.

    No sign-in is required, because a thief may have requested the deletion and made it impossible
    for the owner to sign in. The page then links to the page that locks the account.
    """
    notice = services.find_undo(token)
    if notice is None:
        return render(request, "accounts/deletion/dead.html", status=404)
    if request.method != "POST":
        return render(request, "accounts/deletion/undo.html")
    actor = current.actor_without_session_of(request).by(Method.MAIL)
    if not services.undo(notice.user, actor):
        return render(request, "accounts/deletion/dead.html", status=404)
    context = {"owner": notice.user, "token": token}
    return render(request, "accounts/deletion/kept.html", context)
