"""The sign-in flow in a browser, from the first proof to the new session.

Pending sign-ins are stored in the session data of the browser. They give access only to the pages
that ask for the next requirement. On all other pages, the person is not signed in.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.activity.services import record
from accounts.common import clock
from accounts.common.pages import safe_next
from accounts.common.proofs import Method, Proof
from accounts.sessions import last_method
from accounts.sessions.current import actor_of, browser_session_of
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.signin.session import CompletedSignIn, establish_session, sign_out
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.users import services as users
from accounts.users.models import PendingSignup, User
from accounts.users.services import AccountChanged


@dataclass(frozen=True)
class Hint:
    """What the sign-in pages show about the app to which a person is signing in.

    No decision may depend on it. This package cannot import ``accounts.oauth``, which knows the
    apps. Therefore ``accounts.oauth`` passes a function that returns hints to :func:`register`.

    ``app``: the name of the app.
    ``login``: the login that the person will probably type; empty if unknown. Anybody may choose
        it.
    """

    app: str
    login: str = ""


type Source = Callable[[HttpRequest, str], Hint | None]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Register a function that returns a hint or None, given a request and its ``next`` URL."""
    _sources.append(source)


def of(request: HttpRequest) -> Hint | None:
    """Return the hint for the app to which the ``next`` URL of ``request`` leads, or None."""
    next_url = next_of(request)
    return next(filter(None, (source(request, next_url) for source in _sources)), None)


# The key of the pending sign-in in the session data.
PENDING = "pending_sign_in"
# Counted from the latest proof. An emailed code, which may be requested meanwhile, is valid for 15
# minutes.
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in that is not complete, because the policy requires another proof.

    ``user``: the user as read from the database when the latest proof was checked.
    ``proofs``: the proofs that the user has shown.
    ``remember``: whether the session will outlive the browser.
    ``next_url``: the page to open after the sign-in.
    ``nonce``: identifies the code that was emailed for the second step in this browser; empty if
        there is none.
    """

    user: User
    proofs: tuple[Proof, ...]
    remember: bool = False
    next_url: str = ""
    nonce: str = ""

    @property
    def requirement(self) -> Requirement | None:
        """The next requirement, or None if nothing is required."""
        return policy.next_requirement(self.user, self.proofs)


def store(request: HttpRequest, pending: PendingSignIn) -> None:
    """Store ``pending`` in this browser's session data."""
    request.session[PENDING] = {
        "user": str(pending.user.pk),
        "version": pending.user.credential_version,
        "proofs": [proof.to_json() for proof in pending.proofs],
        "remember": pending.remember,
        "next": pending.next_url,
        "nonce": pending.nonce,
    }


def find_pending(request: HttpRequest) -> PendingSignIn | None:
    """Return the pending sign-in of this browser, or None if there is no valid one.

    A pending sign-in becomes invalid after :data:`LIFE`, and when the account is changed or
    deactivated.
    """
    data = request.session.get(PENDING)
    if data is None:
        return None
    user = twofactor.find_user(uuid.UUID(data["user"]))
    if user is None or not user.is_active or user.credential_version != data["version"]:
        return None
    proofs = tuple(map(Proof.from_json, data["proofs"]))
    if clock.now() >= max(proof.at for proof in proofs) + LIFE:
        return None
    pending = PendingSignIn(user, proofs, data["remember"], data["next"], data["nonce"])
    # If the user has become staff meanwhile, the sign-in must begin again with the password.
    begins_anew = {Requirement.CREDENTIAL, Requirement.PASSWORD}
    return None if pending.requirement in begins_anew else pending


def discard(request: HttpRequest) -> str | None:
    """Delete the pending sign-in of this browser; return its next URL, or None if there is none."""
    data = request.session.pop(PENDING, None)
    return data["next"] if data else None


# The key, in the session data, of the sign-up that this browser may confirm, and whether the
# browser then stays signed in.
PENDING_SIGNUP = "pending_signup"
REMEMBER = "pending_remember"
# The key, in the session data, of the locked account to which a proof in this browser belongs.
LOCKED_OUT = "locked_out"
# The key, in the session data, of the login that the next sign-in page shows.
SUGGESTED = "suggested_login"
# After a proof, the recovery of a locked account must begin within this time.
RECOVERY_LIFE = timedelta(minutes=1)
# The names of the pages for each requirement.
PAGES = {
    Requirement.MAILBOX: "second_step",
    Requirement.SECOND_FACTOR: "second_step",
    Requirement.PASSKEY: "passkey_add",
    Requirement.TERMS: "terms",
    Requirement.KEEP_ACCOUNT: "deletion_keep",
}


def start_sign_in(
    request: HttpRequest,
    account: User | PendingSignup,
    *proofs: Proof,
    remember: bool = False,
    next_url: str = "",
    button: str = "",
) -> HttpResponse:
    """Sign in to ``account`` after ``proofs``, or redirect to the page for the next requirement.

    If the account is deactivated, redirect to the page that says so.

    ``remember``: whether the session outlives the browser.
    ``next_url``: the page to open after the sign-in.
    ``button``: the button that this browser's sign-in page marks as "Last used" from now on.
    """
    try:
        requirement = policy.next_requirement(account, proofs)
    except policy.AccountInactive:
        actor = actor_of(request)
        record(cast(User, account), events.SIGN_IN_FAILED, actor, detail=Failure.SWITCHED_OFF)
        return redirect("account_inactive")
    if isinstance(account, PendingSignup):
        remember_pending(request, account, remember=remember)
        return redirect("signup_confirm")
    if button:
        last_method.note(request, button)
    for key in (PENDING_SIGNUP, REMEMBER):
        request.session.pop(key, None)
    return _proceed(request, PendingSignIn(account, proofs, remember, next_url), requirement)


def resume(
    request: HttpRequest,
    sign_in: PendingSignIn,
    proof: Proof | None = None,
    *,
    next_url: str | None = None,
) -> HttpResponse:
    """Add ``proof`` to a pending sign-in. Sign in, or redirect to the next requirement.

    ``sign_in.user``: the user as read after the second step. If the second step has added a factor
        to the account, an older copy would cause :class:`AccountChanged`.
    ``next_url``: if given, the page to open after the sign-in, instead of ``sign_in.next_url``.
    """
    if proof:
        sign_in = replace(sign_in, proofs=(*sign_in.proofs, proof))
    if next_url is not None:
        sign_in = replace(sign_in, next_url=next_url)
    return _proceed(request, sign_in, sign_in.requirement)


def _proceed(
    request: HttpRequest, sign_in: PendingSignIn, requirement: Requirement | None
) -> HttpResponse:
    methods = {proof.method for proof in sign_in.proofs}
    may_trust = requirement is Requirement.SECOND_FACTOR and Method.TRUSTED_BROWSER not in methods
    if may_trust and trusted_browsers.is_trusted(request, sign_in.user):
        return resume(request, sign_in, Proof.now(Method.TRUSTED_BROWSER))
    if requirement is Requirement.PASSWORD:
        if sign_in.user.has_usable_password():
            advice = _("Sign in with your password first, then confirm that it’s you by email.")
        else:
            advice = _("Ask the operator of this site for a link to turn on two-step verification.")
        messages.warning(request, advice)
        return redirect("account_login")
    if requirement is not None:
        return _ask_for(request, sign_in, requirement)
    discard(request)
    try:
        establish_session(request, CompletedSignIn(sign_in.user, sign_in.proofs, sign_in.remember))
    except AccountChanged:
        sentence = _("Your account was changed while you were signing in. Sign in again.")
        messages.warning(request, sentence)
        return redirect("account_login")
    return redirect(sign_in.next_url or settings.LOGIN_REDIRECT_URL)


def _ask_for(
    request: HttpRequest, sign_in: PendingSignIn, requirement: Requirement
) -> HttpResponse:
    if browser_session_of(request).login_session:
        # Otherwise the pages of the second step would add a factor to the account of the session.
        sign_out(request)
    # The pending sign-in contains a first step, so an earlier session key must not give access to
    # it.
    request.session.cycle_key()
    store(request, sign_in)
    if requirement is not Requirement.ENROLMENT:
        return redirect(PAGES[requirement])
    needs_passkey = policy.must_enrol_passkey(sign_in.user, sign_in.proofs)
    return redirect("passkey_add" if needs_passkey else "totp_setup")


def restart(request: HttpRequest, *, back: str = "") -> HttpResponse:
    """Redirect to the sign-in page, and explain if a pending sign-in of this browser has ended.

    ``back``: the page to open after the sign-in, if this browser has no pending sign-in.
    """
    next_url = discard(request)
    if next_url is not None:
        sentence = _("That took too long, or your account was changed. Sign in again.")
        messages.warning(request, sentence)
        back = safe_next(next_url)
    return redirect_to_login(back) if back else redirect("account_login")


def remember_pending(
    request: HttpRequest, signup: PendingSignup, *, remember: bool = False
) -> None:
    """Allow this browser to confirm ``signup``, and renew the session key.

    ``remember``: whether the session after the confirmation outlives the browser.
    """
    request.session.cycle_key()
    request.session[PENDING_SIGNUP] = str(signup.pk)
    request.session[REMEMBER] = remember


def pending_of(request: HttpRequest) -> str | None:
    """Return the id of the sign-up that this browser may confirm, or None."""
    return request.session.get(PENDING_SIGNUP)


def recover(request: HttpRequest, user: User, proof: Proof) -> HttpResponse:
    """Redirect a browser that tried to sign in to a locked account to the pages that unlock it.

    These pages accept ``proof``, which the browser has shown, as a proof of ownership.

    Redirect to the password reset by email instead if no first wrong change is known, or if
    ``proof`` is a sign-in with a provider and the account has an email address. A provider proves
    ownership only of an account without an email address.
    """
    if user.lock is None or (user.email and proof.method is Method.PROVIDER):
        return redirect("account_reset_password")
    request.session.cycle_key()
    request.session[LOCKED_OUT] = {"user": str(user.pk), "proof": proof.to_json()}
    return redirect("account_locked")


def pop_recovery(request: HttpRequest) -> tuple[User | None, Proof | None]:
    """Return the user and the proof of the last call of :func:`recover` in this browser.

    They can be read only once. Return None for both if there was no such call, if the proof is
    older than a minute, or if the account is deactivated or no longer locked.
    """
    data = request.session.pop(LOCKED_OUT, None)
    if data is None:
        return None, None
    proof = Proof.from_json(data["proof"])
    user = users.find_by_id(data["user"])
    is_recent = clock.now() < proof.at + RECOVERY_LIFE
    if user is None or not (is_recent and user.is_active and user.lock):
        return None, None
    return user, proof


def suggest_login(request: HttpRequest, login: str) -> None:
    """Store ``login``, which the next sign-in page of this browser shows in its form."""
    request.session[SUGGESTED] = login


def next_of(request: HttpRequest) -> str:
    """Return the ``next`` URL of the request if it is a page of this site, or an empty string."""
    return safe_next(request.POST.get("next") or request.GET.get("next"))
