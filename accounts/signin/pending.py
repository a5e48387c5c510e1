"""Pending sign-ins: the first proof was right, and something is still required.

Pending sign-ins are stored in the session data of the browser. They give access only to the pages
that ask for the next requirement. On all other pages, the person is not signed in.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest

from accounts.common import clock
from accounts.common.proofs import Proof
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.users import services as users
from accounts.users.models import User

# Key in the session data.
PENDING = "pending_sign_in"
# Counted from the latest proof. An emailed code, which may be requested meanwhile, is valid for 15
# minutes.
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in that still requires something.

    ``user``: the user as read from the database when the latest proof was checked.
    ``proofs``: the proofs that the user has shown.
    ``remember``: whether the session will outlive the browser.
    ``next_url``: the page to open after the sign-in.
    ``nonce``: identifies the code that was emailed for the second step in this browser; empty if
        none was.
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


def find(request: HttpRequest) -> PendingSignIn | None:
    """Return the pending sign-in of this browser, or None if there is no valid one.

    A pending sign-in stops being valid after :data:`LIFE`, and when the account is changed or
    deactivated.
    """
    data = request.session.get(PENDING)
    if data is None:
        return None
    user = users.find_by_id(data["user"])
    if user is None or not user.is_active or user.credential_version != data["version"]:
        return None
    proofs = tuple(map(Proof.from_json, data["proofs"]))
    if clock.now() >= max(proof.at for proof in proofs) + LIFE:
        return None
    pending = PendingSignIn(user, proofs, data["remember"], data["next"], data["nonce"])
    # The user has become staff meanwhile, so the sign-in must start over with the password.
    return None if pending.requirement is Requirement.PASSWORD else pending


def discard(request: HttpRequest) -> str | None:
    """Delete the pending sign-in of this browser; return its next URL, or None if there is none."""
    data = request.session.pop(PENDING, None)
    return data["next"] if data else None
