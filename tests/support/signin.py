"""A browser that is signed in, in process, through the one function that admits."""

import dataclasses
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.test import Client, RequestFactory

from tests.support.second import enrolled

if TYPE_CHECKING:
    from accounts.users.models import User


def signed_in(user: "User", client: Client | None = None) -> Client:
    """``client``, or a new one, signed in as ``user`` by whatever the site asks of them."""
    from accounts.kernel.proofs import Method, Proof
    from accounts.sessions import known
    from accounts.sessions.store import SessionStore
    from accounts.signin import policy
    from accounts.signin.admission import Admission, admit
    from accounts.signin.policy import Missing

    client = client or Client()
    request = RequestFactory().get("/")
    request.session = SessionStore()
    proofs = [Proof.now(Method.PASSWORD)]
    missing = policy.missing(user, tuple(proofs))
    if missing is Missing.ENROLMENT:
        enrolled(user)
        user = type(user).objects.get(pk=user.pk)
    if missing is not None:
        proofs.append(Proof.now(Method.TOTP))
    admit(request, Admission(user, tuple(proofs)))
    response = HttpResponse()
    known.set_cookie(request, response)
    client.cookies.update(response.cookies)
    client.cookies["sessionid"] = request.session.session_key or ""
    return client


def set_up(settings: Any, **changes: Any) -> None:
    """Change the site's own settings, given the fixture ``settings``."""
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, **changes)
