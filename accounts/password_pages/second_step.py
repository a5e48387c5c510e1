"""Asks for the proofs that a password reset requires in addition to the link.

A reset may require a second factor or older proofs of ownership. Older proofs unlock a locked
account, or remove the second factors of a user who has lost all of them. The rule is in
``accounts.users.disputes``.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.common import clock
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.password_pages.forms import FormerPasswordForm
from accounts.password_pages.services import Reset
from accounts.recovery import evidence
from accounts.recovery import services as recovery
from accounts.recovery.services import Assessment
from accounts.sessions.current import actor_without_session_of
from accounts.signin import second_step
from accounts.signin.challenge import LOST, Step, context_of
from accounts.signin.forms import SecondForm
from accounts.twofactor import passkeys
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import WrongFactorCode, WrongPasskey
from accounts.users.disputes import Evidence, Outcome

# The key in the session data for the proofs that this browser has shown, with their link and time.
SHOWN = "reset_shown"
LIFE = timedelta(minutes=15)


@dataclass(frozen=True)
class ResetProgress:
    """The proofs that this browser has shown for a reset link, and what they allow."""

    found: Reset
    proofs: tuple[Proof, ...]
    assessment: Assessment

    @property
    def has_shown_factor(self) -> bool:
        """Whether a second factor of any age was shown."""
        return any(proof.method in FACTORS for proof in self.proofs)

    @property
    def offers_removal(self) -> bool:
        """Whether the page offers to remove all second factors because they are lost."""
        user = self.found.user
        is_lost = twofactor.has_any(user) and not self.has_shown_factor
        return is_lost and not user.is_privileged and self.assessment.may_finish


def progress_of(request: HttpRequest, found: Reset) -> ResetProgress:
    """Return the proofs that this browser has shown for the reset link ``found``.

    If the link was sent by email, access to the mailbox is the first of these proofs.
    """
    user, at = found.user, recovery.disputed_at(found.user)
    stored = _stored(request, found)
    shown = [
        Proof(Method(m), datetime.fromisoformat(when), key) for m, when, key in stored["proofs"]
    ]
    first = (Proof.now(Method.MAIL, found.email_key),) if found.by_mail else ()
    proofs = (*first, *shown)
    counted = evidence.of_request(request, user, proofs, at)
    if stored["password"]:
        counted |= {evidence.former_password(user, at)}
    assessment = recovery.assess(user, counted)
    # A thief may know the former password, and may have added a mailbox. Both together must not be
    # enough to begin a waiting period.
    has_only_password = user.is_disputed and assessment.kinds <= {Evidence.PASSWORD}
    if has_only_password:
        assessment = replace(assessment, is_offered=False, running=None)
    return ResetProgress(found, proofs, assessment)


def answer(request: HttpRequest, progress: ResetProgress) -> HttpResponse:
    """Verify the proof that was posted, or return the page that asks for a proof.

    A code by email is not offered, because the link has already proved access to the mailbox.
    """
    found, user = progress.found, progress.found.user
    actor = actor_without_session_of(request)
    form = SecondForm(request.POST if "code" in request.POST else None)
    password_form = FormerPasswordForm(request.POST if "former" in request.POST else None)
    passkey_error = ""
    try:
        if "credential" in request.POST:
            removed = partial(evidence.removed_passkey, user)
            credential = request.POST["credential"]
            return _note(request, found, passkeys.prove(user, credential, actor, removed=removed))
        if form.is_valid():
            return _note(request, found, _prove(request, progress, form.cleaned_data["code"]))
        if password_form.is_valid():
            return _check_password(request, progress, password_form.cleaned_data["former"])
    except WrongPasskey as error:
        passkey_error = str(error)
    except WrongFactorCode as error:
        form.add_error("code", str(error))
    except evidence.WrongPassword as error:
        password_form.add_error("former", str(error))
    if request.POST.get("lost") in LOST:
        return _recover(request, progress, request.POST["lost"])
    return _show(request, progress, form, password_form, passkey_error)


def _show(
    request: HttpRequest,
    progress: ResetProgress,
    form: SecondForm,
    password_form: FormerPasswordForm,
    passkey_error: str,
) -> HttpResponse:
    user, assessment = progress.found.user, progress.assessment
    step = Step(user, progress.proofs[:1] or (Proof.now(Method.MAIL),))
    context: dict[str, Any] = context_of(request, step, form, passkey_error=passkey_error)
    context |= {
        # A new password ends the trust in every browser, so the page does not offer to trust one.
        "trust_days": 0,
        "assessment": assessment,
        # If the mailbox does not count as a proof, it may belong to a thief, so the page does not
        # show the username.
        "username": user.username if assessment.outcome is not Outcome.REFUSED else "",
        "password_form": password_form,
        "is_reset": True,
    }
    if removed := evidence.removed_passkeys(user):
        context["passkey_options"] = json.dumps(passkeys.options_to_prove(user, removed))
    name = "reset_locked" if user.is_disputed else "second"
    return render(request, f"accounts/password_pages/{name}.html", context)


def _prove(request: HttpRequest, progress: ResetProgress, code: str) -> Proof:
    """Use up ``code`` of a current or a removed second factor; return the proof.

    Raises:
        WrongFactorCode: no factor accepts the code.
    """
    user = progress.found.user
    return second_step.prove(
        user,
        progress.proofs[:1] or (Proof.now(Method.MAIL),),
        code,
        actor_without_session_of(request),
        removed=partial(evidence.removed_factor, user),
    )


def _stored(request: HttpRequest, found: Reset) -> dict[str, Any]:
    stored: dict[str, Any] = request.session.get(SHOWN) or {}
    is_same = stored.get("subject") == found.subject
    if is_same and clock.now() < datetime.fromisoformat(stored["at"]) + LIFE:
        return stored
    return {"subject": found.subject, "proofs": [], "password": False}


def note_password(request: HttpRequest, found: Reset) -> None:
    """Record that this browser has shown the former password for the reset ``found``."""
    _store(request, {**_stored(request, found), "password": True})


def note(request: HttpRequest, found: Reset, proof: Proof) -> None:
    """Record that this browser has shown ``proof`` for the reset ``found``."""
    stored = _stored(request, found)
    stored["proofs"] = [*stored["proofs"], (proof.method, proof.at.isoformat(), proof.key)]
    _store(request, stored)


def _note(request: HttpRequest, found: Reset, proof: Proof) -> HttpResponse:
    note(request, found, proof)
    return redirect(request.path)


def _store(request: HttpRequest, stored: dict[str, Any]) -> None:
    """Store the proofs ``stored`` in the session data, under a new session key.

    The key is renewed because a browser with these proofs has more rights (ASVS 7.2.4).
    """
    request.session.cycle_key()
    request.session[SHOWN] = {**stored, "at": clock.now().isoformat()}


def _check_password(request: HttpRequest, progress: ResetProgress, typed: str) -> HttpResponse:
    found = progress.found
    at = recovery.disputed_at(found.user)
    evidence.check_password(found.user, typed, at, actor_without_session_of(request), found.subject)
    note_password(request, found)
    return redirect(request.path)


def _recover(request: HttpRequest, progress: ResetProgress, act: str) -> HttpResponse:
    user, shown = progress.found.user, progress.assessment.shown
    actor = actor_without_session_of(request).by(Method.MAIL)
    if act == "finish":
        recovery.remove_factors(user, shown, actor)
        # Removing the factors has invalidated the reset link.
        sentence = _("Your second factors were removed. Ask for a new link to set a password.")
        messages.success(request, sentence)
        return redirect("account_reset_password")
    if act == "stop":
        recovery.cancel(user, shown, actor)
        return redirect(request.path)
    if not progress.assessment.may_ask:
        raise recovery.NotOffered
    recovery.ask(user, shown, actor)
    return redirect(request.path)
