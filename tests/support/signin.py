"""A browser that is signed in, in process, through the one function that admits."""

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.test import Client, RequestFactory

if TYPE_CHECKING:
    from accounts.users.models import User


def signed_in(user: "User", client: Client | None = None) -> Client:
    """``client``, or a new one, signed in as ``user`` who has just given the password."""
    from accounts.kernel.proofs import Method, Proof
    from accounts.sessions import known
    from accounts.sessions.store import SessionStore
    from accounts.signin.admission import Admission, admit

    client = client or Client()
    request = RequestFactory().get("/")
    request.session = SessionStore()
    admit(request, Admission(user, (Proof.now(Method.PASSWORD),)))
    response = HttpResponse()
    known.set_cookie(request, response)
    client.cookies.update(response.cookies)
    client.cookies["sessionid"] = request.session.session_key or ""
    return client
