"""Pending sign-ins: the first proof was right, and something is still required.

The session data of the browser stores them. They open only the pages that ask for what is still
required. For every other page the person is not signed in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest

from accounts.common import clock
from accounts.common.proofs import Method, Proof
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.users import services as users
from accounts.users.models import User

# Key in the session data.
PENDING = "pending_sign_in"
# Counted from the latest proof. A mailed code, which may be asked for meanwhile, is valid for 15
# minutes.
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class PendingSignIn:
    """A user, the proofs so far, and how to sign in once nothing more is required.

    ``user`` is as it was when the latest proof was checked. ``nonce`` names the code that was
    mailed to this browser for the second step, if any.
    """

    user: User
    proofs: tuple[Proof, ...]
    remember: bool = False
    next_url: str = ""
    nonce: str = ""

    @property
    def requirement(self) -> Requirement | None:
        """What is still required, or None."""
        return policy.next_requirement(self.user, self.proofs)


def store(request: HttpRequest, pending: PendingSignIn) -> None:
    """Store ``pending`` in this browser's session data."""
    request.session[PENDING] = {
        "user": str(pending.user.pk),
        "version": pending.user.credential_version,
        "proofs": [(proof.method, proof.at.isoformat(), proof.key) for proof in pending.proofs],
        "remember": pending.remember,
        "next": pending.next_url,
        "nonce": pending.nonce,
    }


def find(request: HttpRequest) -> PendingSignIn | None:
    """Return the pending sign-in of this browser, or None without a valid one.

    A pending sign-in stops being valid after :data:`LIFE`, and when the account is changed or
    deactivated.
    """
    data = request.session.get(PENDING)
    if data is None:
        return None
    user = users.find_by_id(data["user"])
    if user is None or not user.is_active or user.credential_version != data["version"]:
        return None
    proofs = tuple(
        Proof(Method(method), datetime.fromisoformat(at), key) for method, at, key in data["proofs"]
    )
    if clock.now() >= max(proof.at for proof in proofs) + LIFE:
        return None
    pending = PendingSignIn(user, proofs, data["remember"], data["next"], data["nonce"])
    # The user has become staff meanwhile, so the sign-in must start again with the password.
    return None if pending.requirement is Requirement.PASSWORD else pending


def discard(request: HttpRequest) -> str | None:
    """Delete the pending sign-in of this browser; return its next URL, or None without one."""
    data = request.session.pop(PENDING, None)
    return data["next"] if data else None
