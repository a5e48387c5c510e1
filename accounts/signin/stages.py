"""Our stage, the last of allauth's login stages: the HTML side of the door.

What a sign-in has shown travels in ``Login.state``, which allauth keeps in the session while a
stage waits for the person.
"""

from datetime import datetime

from allauth.account.models import Login
from allauth.account.stages import LoginStage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.kernel.proofs import Method, Proof
from accounts.sessions.current import session_of
from accounts.signin import policy
from accounts.signin.admission import Admission, NotAdmitted, sign_out
from accounts.signin.policy import Missing
from accounts.twofactor import trusted
from accounts.users.models import User

GRANTED = "_admission"
# Where a person goes on whom the first step has named.
SECOND_STEPS = {
    Missing.MAILBOX: "second_step",
    Missing.SECOND_FACTOR: "second_step",
    Missing.ENROLMENT: "totp_setup",
    Missing.PASSKEY: "passkey_add",
}


def carry(user: User, proofs: tuple[Proof, ...], *, remember: bool, next_url: str) -> Login:
    """An allauth login that knows what was shown."""
    login = Login(user=user, redirect_url=next_url or None, state={"remember": remember})
    note_version(login, user)
    for proof in proofs:
        note_proof(login, proof)
    return login


def note_proof(login: Login, proof: Proof) -> None:
    """One more was given."""
    login.state.setdefault("proofs", []).append((proof.method, proof.at.isoformat()))
    login.state.setdefault("keys", {})[proof.method] = proof.key


def note_version(login: Login, user: User) -> None:
    """The proofs are good for ``user`` as it is."""
    login.state["version"] = user.credential_version


def carried(login: Login) -> Admission:
    """What :func:`carry` put in."""
    if not isinstance(login.user, User):
        raise NotAdmitted
    keys = login.state.get("keys", {})
    shown = [
        Proof(Method(m), datetime.fromisoformat(at), keys.get(m, ""))
        for m, at in login.state.get("proofs", [])
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
        missing = policy.missing(admission.user, admission.proofs)
        if missing is Missing.SECOND_FACTOR and trusted.is_trusted(self.request, admission.user):
            note_proof(self.login, Proof.now(Method.TRUSTED_BROWSER))
            admission = carried(self.login)
            missing = policy.missing(admission.user, admission.proofs)
        if missing in SECOND_STEPS:
            if session_of(self.request).login:
                # Else the pages of the second step would be the former person's.
                sign_out(self.request)
            # What waits here is worth a first step: a key that was known before it is not.
            self.request.session.cycle_key()
            page = SECOND_STEPS[missing]
            user = admission.user
            # After a mailbox alone a code would be the whole of what is shown.
            by_mail = admission.proofs[0].method is Method.MAIL and not user.has_usable_password()
            is_passkeys = policy.needs_passkey(user) or by_mail
            if missing is Missing.ENROLMENT and is_passkeys:
                page = SECOND_STEPS[Missing.PASSKEY]
            return redirect(page), True
        if missing is not None:
            raise NotAdmitted
        setattr(self.request, GRANTED, admission)
        return None, True


def granted(request: HttpRequest) -> Admission:
    """What the stage has granted to this request: no stage, no admission."""
    admission = getattr(request, GRANTED, None)
    if not isinstance(admission, Admission):
        raise NotAdmitted
    return admission
