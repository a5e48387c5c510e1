"""Adding a factor from inside, or between the two steps of a sign-in that must have one."""

import json
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.enrolment.kept import CODES
from accounts.kernel.places import place_of
from accounts.kernel.proofs import Method, Proof
from accounts.sessions import services as sessions
from accounts.sessions.current import login_of, renew_key
from accounts.signin import flow, pending, policy
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Missing
from accounts.signin.recent import reauthenticate_first
from accounts.users.models import User


def user_of(request: HttpRequest, found: PendingSignIn | None) -> User:
    """Whose factor it will be."""
    return found.user if found else login_of(request).user


def guard(
    request: HttpRequest, *missing: Missing
) -> tuple[HttpResponse | None, PendingSignIn | None]:
    """Where to instead, for whoever may not add a factor now; and the sign-in that waits here.

    Who is in, where none waits, gives a fresh proof; who waits must lack just that, or the password
    alone would add a second factor beside the owner's. Looked up once: another browser may end it
    at any moment.
    """
    if request.user.is_authenticated:
        if not policy.may_enrol(login_of(request)):
            return render(request, "accounts/enrolment/anew.html", status=403), None
        return reauthenticate_first(request), None
    found = pending.find(request)
    if found is None:
        return flow.restart(request, back=request.get_full_path()), None
    return (None if found.missing in missing else redirect("second_step")), found


def after_adding(
    request: HttpRequest, found: PendingSignIn | None, method: Method, made: list[str]
) -> HttpResponse:
    """On to the recovery codes, if some were made, and then to where the person wanted to go."""
    user = user_of(request, found)
    if made:
        CODES.put(request, user, json.dumps(made))
    proof = Proof.now(method)
    if found:
        next_url = codes_page(found.next_url) if made else found.next_url
        return flow.go_on(request, found, proof, next_url=next_url)
    sessions.prove(login_of(request), proof, place_of(request))
    renew_key(request)
    next_url = flow.next_of(request)
    return redirect(codes_page(next_url) if made else next_url or "second_factors")


def codes_page(next_url: str) -> str:
    """The page of the recovery codes, and where to after it."""
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    return reverse("recovery_codes") + query
