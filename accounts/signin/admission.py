"""Admission: the one function that signs anybody in."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib import auth
from django.db import transaction
from django.http import HttpRequest

from accounts.kernel import clock
from accounts.sessions.store import ENDS_AT
from accounts.signin import policy
from accounts.signin.proofs import Proof
from accounts.users.models import User


@dataclass(frozen=True)
class Admission:
    """Who is let in on which proofs, and whether the sign-in outlives the browser."""

    user: User
    proofs: tuple[Proof, ...]
    remember: bool = False


class NotAdmitted(Exception):
    """Somebody tried to make a session past the policy. A fault of ours, never a person's."""


@transaction.atomic
def admit(request: HttpRequest, admission: Admission) -> None:
    """Sign ``admission.user`` in: a session under a new key, stored in this transaction.

    The policy is asked here too, so that no caller can forget it.
    """
    if policy.missing(admission.user, admission.proofs) is not None:
        raise NotAdmitted
    auth.login(request, admission.user)
    days = settings.AUTHSITE.remember_days if admission.remember else settings.AUTHSITE.session_days
    request.session[ENDS_AT] = (clock.now() + timedelta(days=days)).timestamp()
    request.session.set_expiry(None if admission.remember else 0)
    request.session.save()


def sign_out(request: HttpRequest) -> None:
    """End the session, on the server too: a copy of its cookie is dead."""
    auth.logout(request)
