"""A sign-in between its first and its second step: in the browser's session, worth nothing else.

Whoever waits is a stranger to every page but those that ask for what is missing.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

# Internal, since allauth's public ``perform_login`` can't carry the state that our stage reads.
from allauth.account.internal.flows.login import resume_login
from allauth.account.internal.stagekit import LOGIN_SESSION_KEY, clear_login, stash_login
from allauth.account.models import Login
from allauth.account.stages import LoginStageController
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.kernel import clock
from accounts.kernel.links import safe_next
from accounts.kernel.proofs import Proof
from accounts.signin import policy
from accounts.signin.admission import Overtaken
from accounts.signin.policy import Missing
from accounts.signin.stages import PolicyStage, carried, note_proof, note_version
from accounts.users.models import User

# From the last proof on; a password left lying there isn't one that was just given.
# A code that is mailed meanwhile is good for 15 minutes.
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class Waiting:
    """Who has taken a first step in this browser, by what, and what is missing."""

    login: Login
    user: User
    proofs: tuple[Proof, ...]
    missing: Missing | None

    @property
    def next_url(self) -> str:
        """Where the person wanted to go."""
        return str(self.login.redirect_url or "")

    @property
    def notes(self) -> dict[str, Any]:
        """What the second step keeps for itself: :func:`keep` stores it."""
        return cast(dict[str, Any], self.login.state.setdefault("second", {}))


def of(request: HttpRequest) -> Waiting | None:
    """The sign-in that waits in this browser, if it's good for the account as it is now."""
    stage = LoginStageController.enter(request, PolicyStage.key)
    if stage is None:
        return None
    login, user = stage.login, stage.login.user
    is_same = isinstance(user, User) and user.credential_version == login.state["version"]
    if is_same and user.is_active:
        proofs = carried(login).proofs
        if clock.now() < max(proof.at for proof in proofs) + LIFE:
            missing = policy.missing(user, proofs)
            # Promoted meanwhile: the sign-in begins anew, with the password.
            return None if missing is Missing.PASSWORD else Waiting(login, user, proofs, missing)
    return None


def forget(request: HttpRequest) -> None:
    """Give a first step up that was taken in this browser."""
    if LOGIN_SESSION_KEY in request.session:
        clear_login(request)


def to_login(request: HttpRequest, *, back: str = "") -> HttpResponse:
    """To the sign-in, with a word on why and to where it was to lead, if one has waited here.

    ``back`` is where it leads a stranger afterwards, who has begun none.
    """
    next_url = back
    if ended := request.session.get(LOGIN_SESSION_KEY):
        forget(request)
        sentence = _("That took too long, or the account was changed. Sign in again.")
        messages.warning(request, sentence)
        next_url = safe_next(ended.get("redirect_url") or "")
    return redirect_to_login(next_url) if next_url else redirect("account_login")


def keep(request: HttpRequest, waiting: Waiting) -> None:
    """Store the notes."""
    stash_login(request, waiting.login)


def go_on(
    request: HttpRequest,
    waiting: Waiting,
    proof: Proof | None = None,
    *,
    first_to: str = "",
) -> HttpResponse:
    """Sign in if nothing is missing any more, or lead to what is.

    ``waiting.user`` is as the second step left it: what it changed of the factors itself is no
    reason to refuse. ``first_to`` is a page that comes before the one that was wanted.
    """
    note_version(waiting.login, waiting.user)
    if proof:
        note_proof(waiting.login, proof)
    if first_to:
        waiting.login.redirect_url = first_to
    return resume(request, waiting.login)


def resume(request: HttpRequest, login: Login) -> HttpResponse:
    """Ask the stage, then admit."""
    try:
        return cast(HttpResponse, resume_login(request, login))
    except Overtaken:
        clear_login(request)
        sentence = _("The account was changed while you signed in. Sign in again.")
        messages.warning(request, sentence)
        return redirect("account_login")
