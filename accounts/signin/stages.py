"""Our stage, the last of allauth's login stages: the HTML side of the door.

What a sign-in has shown travels in ``Login.state``, which allauth keeps in the session while a
stage waits for the person.
"""

from datetime import datetime

from allauth.account.models import Login
from allauth.account.stages import LoginStage
from django.http import HttpRequest, HttpResponse

from accounts.kernel.proofs import Method, Proof
from accounts.signin import policy
from accounts.signin.admission import Admission, NotAdmitted
from accounts.users.models import User

GRANTED = "_admission"


def carry(user: User, proofs: tuple[Proof, ...], *, remember: bool, next_url: str) -> Login:
    """An allauth login that knows what was shown."""
    state = {
        "proofs": [(p.method, p.at.isoformat()) for p in proofs],
        "remember": remember,
        "version": user.credential_version,
    }
    return Login(user=user, redirect_url=next_url or None, state=state)


def carried(login: Login) -> Admission:
    """What :func:`carry` put in."""
    if not isinstance(login.user, User):
        raise NotAdmitted
    shown = [
        Proof(Method(m), datetime.fromisoformat(at)) for m, at in login.state.get("proofs", [])
    ]
    # As it was when the first proof was checked: allauth has read the user anew meanwhile.
    login.user.credential_version = login.state["version"]
    return Admission(login.user, tuple(shown), bool(login.state.get("remember")))


class PolicyStage(LoginStage):
    """Lets a login pass when the policy finds nothing missing, and hands it to admission."""

    key = "policy"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """``(response, go on)``, as allauth wants it."""
        admission = carried(self.login)
        if policy.missing(admission.user, admission.proofs) is not None:
            raise NotAdmitted
        setattr(self.request, GRANTED, admission)
        return None, True


def granted(request: HttpRequest) -> Admission:
    """What the stage has granted to this request: no stage, no admission."""
    admission = getattr(request, GRANTED, None)
    if not isinstance(admission, Admission):
        raise NotAdmitted
    return admission
