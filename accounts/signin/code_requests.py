"""Requests for a sign-in code by mail, kept in the session data of the browser."""

from dataclasses import asdict, dataclass

from django.http import HttpRequest

from accounts.codes.services import CODE_LIFE
from accounts.common import clock
from accounts.signin import mailed_codes

# Key of the session data.
KEY = "mail_code"


@dataclass(frozen=True)
class CodeRequest:
    """A request for a code: the username or email address that was typed, and how to sign in.

    ``nonce`` tells it from the requests of other browsers. ``until`` is when it ends, as a Unix
    time.
    """

    login: str
    nonce: str
    remember: bool
    next_url: str
    until: float


def make(login: str, *, remember: bool, next_url: str) -> CodeRequest:
    """Return a new request, which ends when its code expires."""
    until = (clock.now() + CODE_LIFE).timestamp()
    return CodeRequest(login, mailed_codes.new_nonce(), remember, next_url, until)


def store(request: HttpRequest, code_request: CodeRequest) -> None:
    """Keep ``code_request`` in this browser's session data."""
    request.session[KEY] = asdict(code_request)


def find(request: HttpRequest) -> CodeRequest | None:
    """Return the request for a code that this browser has made, or None if it has ended."""
    data = request.session.get(KEY)
    return CodeRequest(**data) if data and data["until"] > clock.now().timestamp() else None


def discard(request: HttpRequest) -> None:
    """Forget the request for a code that this browser has made."""
    request.session.pop(KEY, None)
