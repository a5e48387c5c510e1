"""Pages to change, set and reset the password."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.common.client_info import client_of
from accounts.common.pages import form_page
from accounts.common.proofs import Method
from accounts.lockdown.access import Access
from accounts.password_pages import progress, reset_requests, services
from accounts.password_pages.forms import NewPasswordForm, ResetForm, WhoForm
from accounts.password_pages.progress import ResetRequirement
from accounts.password_pages.reset_requests import ResetRequest
from accounts.password_pages.second_step import ProofView
from accounts.passwords.views import with_meter
from accounts.sessions import last_method
from accounts.sessions.current import (
    actor_of,
    actor_without_session_of,
    forget,
    renew_key,
    session_of,
)
from accounts.signin import flow, mailed_codes
from accounts.signin.recent import recent_authentication_required
from accounts.users.services import AccountChanged

# By whether the user has a password: the name of the URL and the template of the page.
PAGES = {True: ("account_change_password", "change"), False: ("account_set_password", "set")}


@form_page
@with_meter
@sensitive_post_parameters("password1")
@recent_authentication_required
def change(request: HttpRequest) -> HttpResponseBase:
    """Change the password of the signed-in user, or set a first one."""
    session = session_of(request)
    page, template = PAGES[session.user.has_usable_password()]
    if request.path != reverse(page):
        return redirect(page)
    form = NewPasswordForm(session.user, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = _context(request, form, keep=session.pk)
        return render(request, f"accounts/password_pages/{template}.html", context)
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


@login_not_required
@form_page
@sensitive_post_parameters("password")
def reset(request: HttpRequest) -> HttpResponse:
    """Send a reset link by email. The response is the same whether or not the account exists."""
    if "again" in request.POST:
        # From the sign-in page: show the form with what was typed there.
        form = WhoForm(initial=request.POST.dict())
    else:
        form = WhoForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        login = form.cleaned_data["login"]
        next_url, remember = flow.next_of(request), bool(request.POST.get("remember"))
        reset_request = ResetRequest(mailed_codes.new_nonce(), next_url, remember)
        services.send_reset(login, reset_request.nonce, client_of(request))
        reset_requests.store(request, reset_request)
        context = {"login": login, "remember": remember, "next": next_url}
        return render(request, "accounts/password_pages/reset_sent.html", context)
    context = {"form": form, "next": flow.next_of(request)}
    return render(request, "accounts/password_pages/reset.html", context)


@login_not_required
@never_cache
@require_safe
def locked(request: HttpRequest) -> HttpResponse:
    """Redirect to the password reset after a user tried to sign in to a locked account.

    The proof that was shown at the sign-in counts for the reset. No email is required: otherwise a
    thief who reads the mailbox could keep the owner out.
    """
    user, proof = flow.pop_recovery(request)
    if user is None or proof is None:
        return redirect("account_login")
    token = services.link_without_mail(user)
    if found := services.find_by_link(token):
        if proof.method is Method.PASSWORD:
            progress.note_password(request, found)
        else:
            progress.note(request, found, proof)
    return redirect("account_reset_password_key", token)


@method_decorator(
    [
        login_not_required,
        form_page,
        with_meter,
        sensitive_post_parameters("password1", "former"),
    ],
    name="dispatch",
)
class ResetLinkView(ProofView):
    """Set a new password with a reset link, and sign in with the proofs of the reset.

    The sign-in flow decides whether these proofs are enough. Only the browser that asked for the
    link is signed in. After the reset of a locked account, every browser shows the sign-in page,
    because the proofs that decide a dispute need not be proofs for a sign-in.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        found = services.find_by_link(kwargs["key"])
        if found is None:
            return self.show_dead()
        self.progress = progress.progress_of(request, found)
        requirement = self.progress.requirement
        if requirement is ResetRequirement.OPERATOR:
            return render(request, "accounts/password_pages/reset_staff.html", status=403)
        if requirement is ResetRequirement.PROOF:
            return self.ask_for_proof()
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        return self.show(self.form())

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        form, found = self.form(), self.progress.found
        if not form.is_valid():
            return self.show(form)
        methods = (proof.method for proof in self.progress.proofs)
        actor = actor_without_session_of(request).by(*methods)
        try:
            user = services.reset(
                found,
                key,
                form.cleaned_data["password1"],
                actor,
                end_keys=_chosen(request),
                shown=self.progress.assessment.shown,
                removes_factors=bool(form.cleaned_data.get("lost")),
            )
        except services.LinkSpent:
            return self.show_dead()
        reset_request = reset_requests.pop(request, found)
        forget(request, found.user)
        if reset_request is None or found.user.is_disputed:
            messages.success(request, _("Your new password is set. Sign in with it."))
            return _redirect_to_sign_in(found)
        messages.success(request, _("Your new password is set."))
        return flow.start_sign_in(
            request,
            user,
            *self.progress.proofs,
            remember=reset_request.remember,
            next_url=reset_request.next_url,
            button=last_method.PASSWORD,
        )

    def form(self) -> ResetForm:
        """Return the form for the new password, with what was posted to it."""
        posted = self.request.POST if "password1" in self.request.POST else None
        form = ResetForm(self.progress.found.user, posted)
        if not self.progress.offers_removal:
            del form.fields["lost"]
        return form

    def show(self, form: ResetForm) -> HttpResponse:
        """Return the page, with the errors of ``form``."""
        context = _context(self.request, form, keep=None)
        return render(self.request, "accounts/password_pages/reset_link.html", context)

    def show_dead(self) -> HttpResponse:
        """Return the page that says that the link was used, has expired or is outdated."""
        return render(self.request, "accounts/password_pages/reset_dead.html", status=404)


def _redirect_to_sign_in(found: services.Reset) -> HttpResponse:
    """Redirect to the sign-in page.

    If the account was locked, the page to review suspended credentials opens after the sign-in.
    """
    if found.user.is_disputed:
        return redirect_to_login(reverse("review"))
    return redirect("account_login")


def _chosen(request: HttpRequest) -> set[str]:
    """Return the posted ids of the API keys to revoke. The ids are not validated."""
    return set(request.POST.getlist("end_key"))


def _context(
    request: HttpRequest, form: NewPasswordForm, *, keep: uuid.UUID | None
) -> dict[str, Any]:
    return {
        "form": form,
        "username": form.user.username,
        "access": Access(form.user, keep),
        "is_here": keep is not None,
        "chosen": _chosen(request),
    }
