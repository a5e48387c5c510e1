"""Adding a factor from inside, or between the two steps of a sign-in that must have one."""

import json
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.common.client_info import client_of
from accounts.common.proofs import Method, Proof
from accounts.sessions import services as sessions
from accounts.sessions.current import renew_key, session_of
from accounts.signin import flow, pending, policy
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.recent import reauthenticate_first
from accounts.twofactor_pages.session_data import CODES
from accounts.users.models import User


def user_of(request: HttpRequest, found: PendingSignIn | None) -> User:
    """Return the user who adds a factor: of the pending sign-in, or of the session."""
    return found.user if found else session_of(request).user


def guard(
    request: HttpRequest, *requirements: Requirement
) -> tuple[HttpResponse | None, PendingSignIn | None]:
    """Return another response if no factor may be added now, and the pending sign-in, if any.

    A signed-in person must have authenticated recently. A pending sign-in must lack one of
    ``requirements``, or the password alone would add a second factor beside the owner's. It is
    looked up once, because another browser may end it at any moment.
    """
    if request.user.is_authenticated:
        if not policy.may_enrol(session_of(request)):
            return render(request, "accounts/twofactor_pages/anew.html", status=403), None
        return reauthenticate_first(request), None
    found = pending.find(request)
    if found is None:
        return flow.restart(request, back=request.get_full_path()), None
    return (None if found.requirement in requirements else redirect("second_step")), found


def after_adding(
    request: HttpRequest, found: PendingSignIn | None, method: Method, made: list[str]
) -> HttpResponse:
    """Redirect to the recovery codes, if some were made, and then to the page that was wanted."""
    user = user_of(request, found)
    if made:
        CODES.put(request, user, json.dumps(made))
    proof = Proof.now(method)
    if found:
        next_url = codes_page(found.next_url) if made else found.next_url
        return flow.go_on(request, found, proof, next_url=next_url)
    sessions.record_proof(session_of(request), proof, client_of(request))
    renew_key(request)
    next_url = flow.next_of(request)
    return redirect(codes_page(next_url) if made else next_url or "second_factors")


def codes_page(next_url: str) -> str:
    """Return the URL of the page of the recovery codes, which leads on to ``next_url``."""
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    return reverse("recovery_codes") + query
