"""A sign-in in a browser: from a proof, through what is missing, to the page that was wanted."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.services import record
from accounts.kernel import clock
from accounts.kernel.links import safe_next
from accounts.kernel.proofs import Method, Proof
from accounts.sessions.current import source_of
from accounts.signin import policy, waiting
from accounts.signin.policy import Missing
from accounts.signin.stages import carry
from accounts.users import services as users
from accounts.users.models import PendingSignup, User

# In the session of a browser that waits for a confirmation: which, and for how long it signs in.
PENDING = "pending_signup"
REMEMBER = "pending_remember"
# In the session of a browser that waits for a code by mail.
CODE = "mail_code"
# Session key: the locked account to which a proof in this browser would have signed in.
LOCKED_OUT = "locked_out"
RECOVERY_LIFE = timedelta(minutes=1)
# Where a person shows what the policy found missing.
DETOURS = {
    Missing.CREDENTIAL: "account_login",
    Missing.PASSWORD: "account_login",
    Missing.ADDRESS: "signup_confirm",
}


def begin(
    request: HttpRequest,
    account: User | PendingSignup,
    *proofs: Proof,
    remember: bool = False,
    next_url: str = "",
) -> HttpResponse:
    """Sign ``account`` in, or lead to what is missing, or to the page that says why not."""
    try:
        missing = policy.missing(account, proofs)
    except policy.AccountInactive:
        record(cast(User, account), events.SIGN_IN_FAILED, source_of(request))
        return redirect("account_inactive")
    if isinstance(account, PendingSignup):
        remember_pending(request, account, remember=remember)
    if missing is Missing.PASSWORD and isinstance(account, User):
        _advise(request, account)
    if missing in DETOURS or isinstance(account, PendingSignup):
        return redirect(DETOURS[missing or Missing.ADDRESS])
    for key in (PENDING, REMEMBER):
        request.session.pop(key, None)
    return waiting.resume(request, carry(account, proofs, remember=remember, next_url=next_url))


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


@dataclass(frozen=True)
class CodeAsked:
    """A code that this browser has asked for: for whom, which, and how the sign-in is to be."""

    login: str
    nonce: str
    remember: bool
    next_url: str
    until: float


def remember_code(request: HttpRequest, asked: CodeAsked) -> None:
    """Note what this browser waits for."""
    request.session[CODE] = asdict(asked)


def code_asked(request: HttpRequest) -> CodeAsked | None:
    """What this browser waits for, or None."""
    kept = request.session.get(CODE)
    return CodeAsked(**kept) if kept and kept["until"] > clock.now().timestamp() else None


def forget_code(request: HttpRequest) -> None:
    """It has come."""
    request.session.pop(CODE, None)


def next_of(request: HttpRequest) -> str:
    """Where to afterwards, if the request says so and it's a page of ours."""
    return safe_next(request.POST.get("next") or request.GET.get("next"))
