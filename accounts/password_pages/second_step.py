"""Asks for the proofs that a password reset requires in addition to the link.

A reset may require a second factor. To unlock a locked account, or to remove second factors that
the user has lost, it may require several proofs of ownership from before the dispute: the rule is
in ``accounts.users.disputes``.
"""

import json
from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.generic import View

from accounts.common.proofs import Method, Proof
from accounts.password_pages import progress
from accounts.password_pages.forms import FormerPasswordForm
from accounts.password_pages.progress import ResetProgress
from accounts.recovery import evidence
from accounts.recovery import services as recovery
from accounts.sessions.current import actor_without_session_of
from accounts.signin import second_step
from accounts.signin.challenge import RECOVERY_ACTS, page_context
from accounts.signin.forms import SecondForm
from accounts.twofactor import passkeys
from accounts.twofactor.errors import WrongPasskey
from accounts.users.disputes import Outcome


class ProofView(View):
    """Base class of ``ResetLinkView``, which asks for the proofs that a password reset requires."""

    progress: ResetProgress

    def ask_for_proof(self) -> HttpResponse:
        """Verify the proof that was posted, or return the page that asks for a proof.

        A code by email is not offered, because the link has already proved access to the mailbox.
        """
        posted = self.request.POST
        if "credential" in posted:
            return self.prove_by_passkey(posted["credential"])
        if "code" in posted:
            return self.prove_by_code()
        if "former" in posted:
            return self.prove_by_password()
        if posted.get("lost") in RECOVERY_ACTS:
            return self.recover(posted["lost"])
        return self.show_proofs()

    def show_proofs(
        self,
        form: SecondForm | None = None,
        password_form: FormerPasswordForm | None = None,
        *,
        passkey_error: str = "",
    ) -> HttpResponse:
        """Return the page that asks for a proof, with the errors of the proof that was posted."""
        user, assessment = self.progress.found.user, self.progress.assessment
        context = page_context(
            self.request, user, self.progress.first_step, form, passkey_error=passkey_error
        )
        context |= {
            # A new password ends the trust in every browser, so the page does not offer to trust
            # one.
            "trust_days": 0,
            "assessment": assessment,
            # If the mailbox does not count as a proof, it may belong to a thief, so the page does
            # not show the username.
            "username": user.username if assessment.outcome is not Outcome.REFUSED else "",
            "password_form": password_form or FormerPasswordForm(),
            "is_reset": True,
        }
        if removed := evidence.removed_passkeys(user):
            context["passkey_options"] = json.dumps(passkeys.options_to_prove(user, removed))
        name = "reset_locked" if user.is_disputed else "second"
        return render(self.request, f"accounts/password_pages/{name}.html", context)

    def prove_by_passkey(self, credential: str) -> HttpResponse:
        """Verify the response of a passkey of the account. The passkey may have been removed."""
        user, actor = self.progress.found.user, actor_without_session_of(self.request)
        removed = partial(evidence.removed_passkey, user)
        try:
            proof = passkeys.prove(user, credential, actor, removed=removed)
        except WrongPasskey as error:
            return self.show_proofs(passkey_error=str(error))
        return self.note(proof)

    def prove_by_code(self) -> HttpResponse:
        """Check a code of a second factor of the account. The factor may have been removed."""
        user, first_step = self.progress.found.user, self.progress.first_step
        actor = actor_without_session_of(self.request)
        removed = partial(evidence.removed_factor, user)
        form = SecondForm(self.request.POST)
        proof = form.check(
            lambda code: second_step.prove(user, first_step, code, actor, removed=removed)
        )
        return self.note(proof) if proof else self.show_proofs(form)

    def prove_by_password(self) -> HttpResponse:
        """Check the password that the account had a week before the disputed change."""
        found, actor = self.progress.found, actor_without_session_of(self.request)
        at = recovery.disputed_at(found.user)
        form = FormerPasswordForm(self.request.POST)
        if not form.is_valid():
            return self.show_proofs(password_form=form)
        try:
            former = form.cleaned_data["former"]
            evidence.check_password(found.user, former, at, actor, found.subject)
        except evidence.WrongPassword as error:
            form.add_error("former", str(error))
            return self.show_proofs(password_form=form)
        progress.note_password(self.request, found)
        return redirect(self.request.path)

    def note(self, proof: Proof) -> HttpResponse:
        """Store ``proof`` for this reset, and show the page again."""
        progress.note(self.request, self.progress.found, proof)
        return redirect(self.request.path)

    def recover(self, act: str) -> HttpResponse:
        """Handle a request of a user who has lost every second factor.

        ``act``: ``ask`` requests a recovery by waiting, ``finish`` removes all second factors, and
            ``stop`` stops the current request.
        """
        user, assessment = self.progress.found.user, self.progress.assessment
        actor = actor_without_session_of(self.request).by(Method.MAIL)
        if act == "finish":
            recovery.remove_factors(user, assessment.shown, actor)
            # Removing the factors has invalidated the reset link.
            sentence = _(
                "Your second factors were removed. Ask for a new link to set a new password."
            )
            messages.success(self.request, sentence)
            return redirect("account_reset_password")
        if act == "stop":
            recovery.cancel(user, assessment.shown, actor)
            return redirect(self.request.path)
        if not assessment.may_ask:
            raise recovery.NotOffered
        recovery.ask(user, assessment.shown, actor)
        return redirect(self.request.path)
