"""Pages to change, set and reset the password.

A reset may require a second factor. To unlock a locked account, or to remove lost second factors,
it may require several proofs of ownership: see ``accounts.recovery.rule``.
"""

import json
import uuid
from dataclasses import asdict
from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from django.views.generic import View

from accounts.common.client_info import client_of
from accounts.common.pages import form_page, typed
from accounts.common.proofs import Method, Proof
from accounts.passwords import changes
from accounts.passwords.changes import ResetProgress, ResetRequest, ResetRequirement
from accounts.passwords.forms import CurrentPasswordField, NewPasswordField, refuse_guessable
from accounts.passwords.strength import measure_for
from accounts.recovery import evidence
from accounts.recovery import services as recovery
from accounts.recovery.checklist import Checklist
from accounts.recovery.locks import Access
from accounts.recovery.rule import Outcome
from accounts.sessions import last_method
from accounts.sessions.current import (
    actor_of,
    actor_without_session_of,
    forget,
    renew_key,
    session_of,
)
from accounts.signin import flow, mailed_codes, second_step
from accounts.signin.forms import SecondForm, WhoField
from accounts.signin.recent import recent_authentication_required
from accounts.signin.second_step_views import RECOVERY_ACTIONS, page_context
from accounts.twofactor import passkeys
from accounts.twofactor.errors import WrongPasskey
from accounts.users.models import User
from accounts.users.services import AccountChanged


class WhoForm(forms.Form):
    """Asks a user who forgot the password for the username or email address."""

    login = WhoField()


class NewPasswordForm(forms.Form):
    """Asks for a new password for ``user``."""

    password1 = NewPasswordField()

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["password1"].label = _("New password")

    def clean(self) -> dict[str, Any]:
        refuse_guessable(self, "password1", self.user)
        return self.cleaned_data


class ResetForm(NewPasswordForm):
    """The form to set a new password with a reset link, and to remove lost second factors."""

    # The view removes this field unless ``ResetProgress.offers_removal`` is true.
    lost = forms.BooleanField(
        required=False, label=_("I’ve lost my passkeys and authenticator apps. Remove them all.")
    )


class FormerPasswordForm(forms.Form):
    """Asks for the password that the account had before the first wrong change."""

    former = CurrentPasswordField(
        label=_("Your old password"),
        help_text=_("The last password that you set yourself, even if it was changed later."),
    )


MOST_WORDS = 4

# Decorates pages that ask for a new password, so that the strength meter may send requests to this
# site.
with_meter = csp_override(settings.SECURE_CSP_FETCH)


@login_not_required
@never_cache
@sensitive_post_parameters("password", "word")
@require_POST
def strength(request: HttpRequest) -> JsonResponse:
    """Return the strength of a password as JSON: ``{score, label, advice}``.

    Each parameter ``word`` is the text of another field of the form, such as the username.
    Anonymous visitors may call this view, because they choose a password at sign-up. Nothing is
    stored.
    """
    words = request.POST.getlist("word")[:MOST_WORDS]
    if request.user.is_authenticated:
        words += [request.user.username, request.user.email]
    strength = measure_for(client_of(request), request.POST.get("password", ""), words)
    return JsonResponse(asdict(strength))


class ResetProofView(View):
    """The base class of ``ResetLinkView``, which asks for the proofs that a reset requires."""

    progress: ResetProgress

    def ask_for_proof(self) -> HttpResponse:
        """Verify the posted proof, or return the page that asks for a proof.

        A code by email is not offered, because the link has already proved access to the mailbox.
        """
        posted = self.request.POST
        if "credential" in posted:
            return self.verify_passkey(posted["credential"])
        if "code" in posted:
            return self.verify_code()
        if "former" in posted:
            return self.verify_former_password()
        if posted.get("lost") in RECOVERY_ACTIONS:
            return self.recover(posted["lost"])
        return self.show_proofs()

    def show_proofs(
        self,
        form: SecondForm | None = None,
        password_form: FormerPasswordForm | None = None,
        *,
        passkey_error: str = "",
    ) -> HttpResponse:
        """Return the page that asks for a proof, with the errors of the posted proof."""
        user, assessment = self.progress.found.user, self.progress.assessment
        context = page_context(
            self.request, user, self.progress.first_step, form, passkey_error=passkey_error
        )
        # A new password ends the trust in all browsers, so the page does not offer to trust one.
        context |= {"assessment": assessment, "trust_days": 0, "is_reset": True}
        if user.lock is None:
            return render(self.request, "accounts/passwords/second.html", context)
        if removed := evidence.removed_passkeys(user):
            context["passkey_options"] = json.dumps(passkeys.options_for_second_step(user, removed))
        context |= {
            # If the mailbox does not count as a proof, it may belong to a thief, so the page does
            # not show the username.
            "username": user.username if assessment.outcome is not Outcome.NOTHING else "",
            "password_form": password_form or FormerPasswordForm(),
            "checklist": Checklist(assessment),
        }
        return render(self.request, "accounts/passwords/reset_locked.html", context)

    def verify_passkey(self, credential: str) -> HttpResponse:
        """Verify the response of a passkey, store the proof, and show the page again.

        The passkey may be one that was removed from the account, if it still proves ownership.
        """
        user, actor = self.progress.found.user, actor_without_session_of(self.request)
        removed = partial(evidence.removed_passkey, user)
        try:
            proof = passkeys.verify(user, credential, actor, removed=removed)
        except WrongPasskey as error:
            return self.show_proofs(passkey_error=str(error))
        return self.note(proof)

    def verify_code(self) -> HttpResponse:
        """Check a code of a second factor, store the proof, and show the page again.

        The factor may be one that was removed from the account, if it still proves ownership.
        """
        user, first_step = self.progress.found.user, self.progress.first_step
        actor = actor_without_session_of(self.request)
        removed = partial(evidence.removed_factor, user)
        form = SecondForm(self.request.POST)
        proof = form.check(
            lambda code: second_step.verify(user, first_step, code, actor, removed=removed)
        )
        return self.note(proof) if proof else self.show_proofs(form)

    def verify_former_password(self) -> HttpResponse:
        """Check the password that the account had before the first wrong change.

        If it is right, store the proof. Then show the page again.
        """
        found, actor = self.progress.found, actor_without_session_of(self.request)
        form = FormerPasswordForm(self.request.POST)
        # Without a proof that counts, a stranger must not use up the guesses of the owner.
        if not (form.is_valid() and self.progress.assessment.shown):
            return self.show_proofs(password_form=form)
        try:
            former = form.cleaned_data["former"]
            evidence.check_password(found.user, former, actor)
        except evidence.WrongPassword as error:
            form.add_error("former", str(error))
            return self.show_proofs(password_form=form)
        changes.note_password(self.request, found)
        return redirect(self.request.path)

    def note(self, proof: Proof) -> HttpResponse:
        """Store ``proof`` for this reset, and show the page again."""
        changes.note(self.request, self.progress.found, proof)
        return redirect(self.request.path)

    def recover(self, act: str) -> HttpResponse:
        """Handle a request of a user who has lost every second factor.

        ``act``: ``ask`` requests a recovery by waiting, ``finish`` removes all second factors, and
            ``stop`` stops the current request.
        """
        user, shown = self.progress.found.user, self.progress.shown
        actor = actor_without_session_of(self.request).by(Method.MAIL)
        if act == "finish":
            recovery.remove_factors(user, *shown, actor=actor)
            # Removing the factors has invalidated the reset link.
            sentence = gettext(
                "Your passkeys and authenticator apps were removed. Ask for a new link to set "
                "a new password."
            )
            messages.success(self.request, sentence)
            return redirect("account_reset_password")
        if act == "stop":
            recovery.cancel(user, *shown, actor=actor)
            return redirect(self.request.path)
        asks = recovery.ask_support if act == "support" else recovery.ask
        asks(user, *shown, actor=actor)
        return redirect(self.request.path)


# For users with and without a password: the name of the URL and of the template.
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
        return render(request, f"accounts/passwords/{template}.html", context)
    actor = actor_of(request).by(*session.amr)
    try:
        password = form.cleaned_data["password1"]
        changes.change(session.user, password, actor, end_keys=_chosen(request))
    except AccountChanged as error:
        messages.error(request, str(error))
        return redirect("home")
    renew_key(request)
    sentence = gettext("Your new password is set. You’re signed out everywhere else.")
    messages.success(request, sentence)
    return redirect(flow.next_of(request) or "home")


@login_not_required
@form_page
@sensitive_post_parameters("password")
def reset(request: HttpRequest) -> HttpResponse:
    """Send a reset link by email. The response is the same whether or not the account exists."""
    if "again" in request.POST:
        # The sign-in page posts here: show the form with the login that was typed there.
        form = WhoForm(initial=request.POST.dict())
    else:
        form = WhoForm(request.POST if request.method == "POST" else None, initial=typed(request))
    if form.is_valid():
        login = form.cleaned_data["login"]
        next_url, remember = flow.next_of(request), bool(request.POST.get("remember"))
        reset_request = ResetRequest(mailed_codes.new_nonce(), next_url, remember)
        changes.send_reset(login, reset_request.nonce, client_of(request))
        changes.store(request, reset_request)
        context = {"login": login, "remember": remember, "next": next_url}
        return render(request, "accounts/passwords/reset_sent.html", context)
    context = {"form": form, "next": flow.next_of(request)}
    return render(request, "accounts/passwords/reset.html", context)


@login_not_required
@never_cache
@require_safe
def locked(request: HttpRequest) -> HttpResponse:
    """Redirect to the password reset after a user tried to sign in to a locked account.

    The proof that was shown at the sign-in counts for the reset. No email is required, because a
    thief who reads the mailbox could otherwise keep the owner out.
    """
    user, proof = flow.pop_recovery(request)
    if user is None or proof is None:
        return redirect("account_login")
    token = changes.link_without_mail(user)
    if found := changes.find_reset(token):
        if proof.method is Method.PASSWORD:
            changes.note_password(request, found)
        else:
            changes.note(request, found, proof)
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
class ResetLinkView(ResetProofView):
    """Set a new password with a reset link, and sign in with the proofs of the reset.

    The sign-in flow decides whether these proofs are sufficient. Only the browser that requested
    the link is signed in. After the reset of a locked account, every browser shows the sign-in
    page, because proofs of ownership are not always valid for a sign-in.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        found = changes.find_reset(kwargs["key"])
        if found is None:
            return self.show_dead()
        self.progress = changes.progress_of(request, found)
        requirement = self.progress.requirement
        if requirement is ResetRequirement.OPERATOR:
            return render(request, "accounts/passwords/reset_staff.html", status=403)
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
            user = changes.reset(
                found,
                key,
                changes.hash_for(found, form.cleaned_data["password1"]),
                actor,
                end_keys=_chosen(request),
                shown=self.progress.shown,
                removes_factors=bool(form.cleaned_data.get("lost")),
            )
        except changes.LinkEnded:
            return self.show_dead()
        reset_request = changes.pop(request, found)
        forget(request, found.user)
        if reset_request is None or found.user.lock:
            sentence = gettext("Your new password is set. Sign in with it on all your devices.")
            messages.success(request, sentence)
            # After a lock, the sign-in leads to the review of the suspended credentials.
            if found.user.lock is None:
                return redirect("account_login")
            flow.suggest_login(request, user.username)
            return redirect_to_login(reverse("review"))
        sentence = gettext("Your new password is set. You’re signed out everywhere else.")
        messages.success(request, sentence)
        return flow.start_sign_in(
            request,
            user,
            *self.progress.proofs,
            remember=reset_request.remember,
            next_url=reset_request.next_url,
            button=last_method.PASSWORD,
        )

    def form(self) -> ResetForm:
        """Return the form for the new password, with the posted data."""
        posted = self.request.POST if "password1" in self.request.POST else None
        form = ResetForm(self.progress.found.user, posted)
        if not self.progress.offers_removal:
            del form.fields["lost"]
        return form

    def show(self, form: ResetForm) -> HttpResponse:
        """Return the page, with the errors of ``form``."""
        context = _context(self.request, form, keep=None)
        return render(self.request, "accounts/passwords/reset_link.html", context)

    def show_dead(self) -> HttpResponse:
        """Return the page for a link that was used, has expired or is outdated."""
        return render(self.request, "accounts/passwords/reset_dead.html", status=404)


def _chosen(request: HttpRequest) -> set[str]:
    """Return the posted ids of the API keys to revoke, without checking them."""
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
