"""Pages to change, set and reset the password."""

import uuid
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.apikeys import services as apikeys
from accounts.common.client_info import client_of
from accounts.common.proofs import Method
from accounts.password_pages import second_step, services
from accounts.password_pages.forms import NewPasswordForm, WhoForm
from accounts.password_pages.second_step import ResetProgress
from accounts.passwords.views import with_meter
from accounts.sessions.current import (
    actor_of,
    actor_without_session_of,
    forget,
    renew_key,
    session_of,
)
from accounts.sessions.services import live
from accounts.signin import flow, policy
from accounts.signin.policy import Requirement
from accounts.signin.recent import recent_authentication_required
from accounts.users.disputes import Evidence
from accounts.users.models import User
from accounts.users.services import AccountChanged


@never_cache
@with_meter
@sensitive_post_parameters("password1")
@require_http_methods(["GET", "HEAD", "POST"])
@recent_authentication_required
def change(request: HttpRequest) -> HttpResponseBase:
    """Change the password of the signed-in user."""
    if not cast(User, request.user).has_usable_password():
        return redirect("account_set_password")
    return _take(request, "accounts/password_pages/change.html")


@never_cache
@with_meter
@sensitive_post_parameters("password1")
@require_http_methods(["GET", "HEAD", "POST"])
@recent_authentication_required
def set_first(request: HttpRequest) -> HttpResponseBase:
    """Set a password for a signed-in user who has none."""
    if cast(User, request.user).has_usable_password():
        return redirect("account_change_password")
    return _take(request, "accounts/password_pages/set.html")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """Send a reset link by email. The response is the same whether or not the account exists."""
    form = WhoForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        login = form.cleaned_data["login"]
        services.send_reset(login, client_of(request))
        return render(request, "accounts/password_pages/reset_sent.html", {"login": login})
    return render(request, "accounts/password_pages/reset.html", {"form": form})


@login_not_required
@never_cache
@require_safe
def locked(request: HttpRequest) -> HttpResponse:
    """Redirect a user who has tried to sign in to a locked account to the password reset.

    The proof that was shown at the sign-in counts for the reset. No email is required: otherwise a
    thief who reads the mailbox could keep the owner out.
    """
    user, proof = flow.pop_recovery(request)
    if user is None or proof is None:
        return redirect("account_login")
    token = services.link_without_mail(user)
    if found := services.find_by_link(token):
        if proof.method is Method.PASSWORD:
            second_step.note_password(request, found)
        else:
            second_step.note(request, found, proof)
    return redirect("account_reset_password_key", token)


@login_not_required
@never_cache
@with_meter
@sensitive_post_parameters("password1", "former")
@require_http_methods(["GET", "HEAD", "POST"])
def reset_link(request: HttpRequest, key: str) -> HttpResponse:
    """Set a new password with a reset link. This does not sign the user in."""
    found = services.find_by_link(key)
    if found is None:
        return render(request, "accounts/password_pages/reset_dead.html", status=404)
    progress = second_step.progress_of(request, found)
    if away := _required_page(request, progress):
        return away
    form = _form(request, progress)
    if form.is_valid():
        try:
            methods = (proof.method for proof in progress.proofs)
            actor = actor_without_session_of(request).by(*methods)
            services.reset(
                found,
                key,
                form.cleaned_data["password1"],
                actor,
                end_keys=_chosen(request),
                shown=progress.assessment.shown,
                removes_factors=bool(form.cleaned_data.get("lost")),
            )
        except services.LinkSpent:
            return render(request, "accounts/password_pages/reset_dead.html", status=404)
        forget(request, found.user)
        messages.success(request, _("Your new password is set. Sign in with it."))
        return _sign_in(found)
    context = _context(request, form, keep=None)
    return render(request, "accounts/password_pages/reset_link.html", context)


def _required_page(request: HttpRequest, progress: ResetProgress) -> HttpResponse | None:
    """Return the page that asks for a further proof before the password is set, or None.

    If the policy requires a second factor but the account has none, the user adds one at the next
    sign-in.
    """
    user, assessment = progress.found.user, progress.assessment
    requirement = policy.next_requirement(user, progress.proofs)
    if requirement is Requirement.PASSWORD and Evidence.PASSWORD not in assessment.kinds:
        # Members of staff can add a second factor with the mailbox and the password. Therefore the
        # mailbox alone must not be enough to set the password.
        return render(request, "accounts/password_pages/reset_staff.html", status=403)
    if user.is_disputed:
        return None if assessment.may_finish else second_step.answer(request, progress)
    if requirement is Requirement.SECOND_FACTOR:
        return second_step.answer(request, progress)
    return None


def _form(request: HttpRequest, progress: ResetProgress) -> NewPasswordForm:
    form = NewPasswordForm(
        progress.found.user, request.POST if "password1" in request.POST else None
    )
    if not progress.offers_removal:
        del form.fields["lost"]
    return form


def _sign_in(found: services.Reset) -> HttpResponse:
    """Redirect to the sign-in page, which leads to the review if the account was locked."""
    if found.user.is_disputed:
        return redirect_to_login(reverse("review"))
    return redirect("account_login")


def _chosen(request: HttpRequest) -> set[str]:
    """Return the ids of the API keys to revoke, unchecked as the client sent them."""
    return set(request.POST.getlist("end_key"))


def _context(
    request: HttpRequest, form: NewPasswordForm, *, keep: uuid.UUID | None
) -> dict[str, Any]:
    return {
        "form": form,
        "username": form.user.username,
        "keys": apikeys.effects(form.user, keep),
        "chosen": _chosen(request),
    }


def _take(request: HttpRequest, template: str) -> HttpResponse:
    session = session_of(request)
    form = NewPasswordForm(session.user, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        others = live(session.user).exclude(pk=session.pk).count()
        context = _context(request, form, keep=session.pk) | {"others": others}
        return render(request, template, context)
    actor = actor_of(request).by(*session.amr)
    try:
        password = form.cleaned_data["password1"]
        services.change(session.user, password, actor, end_keys=_chosen(request))
    except AccountChanged as error:
        messages.error(request, str(error))
        return redirect("home")
    renew_key(request)
    messages.success(request, _("Your new password is set. You’re signed out everywhere else."))
    return redirect(flow.next_of(request) or "home")
