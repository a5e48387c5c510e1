"""The sign-in flow in a browser: from a proof, through what is still required, to the session."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.services import record
from accounts.common import clock
from accounts.common.links import safe_next
from accounts.common.proofs import Method, Proof
from accounts.sessions.current import actor_of, browser_session_of
from accounts.signin import pending, policy
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.session import CompletedSignIn, establish_session, sign_out
from accounts.twofactor import trusted_browsers
from accounts.users import services as users
from accounts.users.models import PendingSignup, User
from accounts.users.services import AccountChanged

# In the session of a browser that waits for a confirmation: which, and for how long it signs in.
PENDING = "pending_signup"
REMEMBER = "pending_remember"
# Session key: the locked account to which a proof in this browser would have signed in.
LOCKED_OUT = "locked_out"
RECOVERY_LIFE = timedelta(minutes=1)
# The page that asks for what is still required.
PAGES = {
    Requirement.MAILBOX: "second_step",
    Requirement.SECOND_FACTOR: "second_step",
    Requirement.PASSKEY: "passkey_add",
}


def begin(
    request: HttpRequest,
    account: User | PendingSignup,
    *proofs: Proof,
    remember: bool = False,
    next_url: str = "",
) -> HttpResponse:
    """Sign ``account`` in, or redirect to what is still required, or say why not."""
    try:
        requirement = policy.next_requirement(account, proofs)
    except policy.AccountInactive:
        record(cast(User, account), events.SIGN_IN_FAILED, actor_of(request))
        return redirect("account_inactive")
    if isinstance(account, PendingSignup):
        remember_pending(request, account, remember=remember)
        return redirect("signup_confirm")
    for key in (PENDING, REMEMBER):
        request.session.pop(key, None)
    return _proceed(request, PendingSignIn(account, proofs, remember, next_url), requirement)


def go_on(
    request: HttpRequest,
    found: PendingSignIn,
    proof: Proof | None = None,
    *,
    next_url: str | None = None,
) -> HttpResponse:
    """Sign in if nothing is required after ``proof``, else redirect to what is.

    ``found.user`` is as the second step left it: changes of factors that the step made itself are
    no reason to refuse. ``next_url`` replaces the page that was wanted.
    """
    if proof:
        found = replace(found, proofs=(*found.proofs, proof))
    if next_url is not None:
        found = replace(found, next_url=next_url)
    return _proceed(request, found, found.requirement)


def _proceed(
    request: HttpRequest, found: PendingSignIn, requirement: Requirement | None
) -> HttpResponse:
    may_trust = all(proof.method is not Method.TRUSTED_BROWSER for proof in found.proofs)
    if (
        requirement is Requirement.SECOND_FACTOR
        and may_trust
        and trusted_browsers.is_trusted(request, found.user)
    ):
        return go_on(request, found, Proof.now(Method.TRUSTED_BROWSER))
    if requirement is Requirement.PASSWORD:
        _advise(request, found.user)
        return redirect("account_login")
    if requirement is not None:
        return _ask_for(request, found, requirement)
    pending.discard(request)
    try:
        establish_session(request, CompletedSignIn(found.user, found.proofs, found.remember))
    except AccountChanged:
        sentence = _("The account was changed while you signed in. Sign in again.")
        messages.warning(request, sentence)
        return redirect("account_login")
    return redirect(found.next_url or settings.LOGIN_REDIRECT_URL)


def _ask_for(request: HttpRequest, found: PendingSignIn, requirement: Requirement) -> HttpResponse:
    if browser_session_of(request).login_session:
        # Else the pages of the second step would belong to the person who is signed in.
        sign_out(request)
    # A pending sign-in is worth a first step: a session key from before must not open it.
    request.session.cycle_key()
    pending.store(request, found)
    if requirement is not Requirement.ENROLMENT:
        return redirect(PAGES[requirement])
    needs_passkey = policy.must_enrol_passkey(found.user, found.proofs)
    return redirect("passkey_add" if needs_passkey else "totp_setup")


def restart(request: HttpRequest, *, back: str = "") -> HttpResponse:
    """Redirect to the sign-in, and say why if a pending one has ended in this browser.

    ``back`` is the page that the sign-in leads to if none was pending.
    """
    next_url = pending.discard(request)
    if next_url is not None:
        sentence = _("That took too long, or the account was changed. Sign in again.")
        messages.warning(request, sentence)
        back = safe_next(next_url)
    return redirect_to_login(back) if back else redirect("account_login")


def _advise(request: HttpRequest, user: User) -> None:
    """Say how staff without a factor get to add one."""
    if user.has_usable_password():
        messages.warning(request, _("Sign in with your password first, then confirm by email."))
    else:
        sentence = _("Ask whoever runs this site for a link to add your second factor.")
        messages.warning(request, sentence)


def remember_pending(
    request: HttpRequest, signup: PendingSignup, *, remember: bool = False
) -> None:
    """Note that this browser knows the password of ``signup``; its session's key changes."""
    request.session.cycle_key()
    request.session[PENDING] = str(signup.pk)
    request.session[REMEMBER] = remember


def pending_of(request: HttpRequest) -> str | None:
    """The id of the sign-up that this browser may confirm."""
    return request.session.get(PENDING)


def recover(request: HttpRequest, user: User, proof: Proof) -> HttpResponse:
    """Redirect to the recovery of a locked account, to which ``proof`` would have signed in.

    A provider stands in for a mailbox, so with an address of the account a reset by mail begins.
    """
    if not user.is_disputed or (user.email and proof.method is Method.PROVIDER):
        return redirect("account_reset_password")
    request.session.cycle_key()
    request.session[LOCKED_OUT] = {
        "user": str(user.pk),
        "method": proof.method,
        "key": proof.key,
        "at": proof.at.isoformat(),
    }
    return redirect("account_locked")


def pop_recovery(request: HttpRequest) -> tuple[User | None, Proof | None]:
    """Return who was led to recovery in this browser just now, and by which proof; only once."""
    kept = request.session.pop(LOCKED_OUT, None)
    if kept is None:
        return None, None
    proof = Proof(Method(kept["method"]), datetime.fromisoformat(kept["at"]), kept["key"])
    user = users.find_by_id(kept["user"])
    is_good = clock.now() < proof.at + RECOVERY_LIFE and user and user.is_active
    return (user, proof) if is_good and user and user.is_disputed else (None, None)


def next_of(request: HttpRequest) -> str:
    """Where to afterwards, if the request says so and it's a page of ours."""
    return safe_next(request.POST.get("next") or request.GET.get("next"))
