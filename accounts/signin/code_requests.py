"""Stores a request for an emailed sign-in code in the session data of the browser."""

from dataclasses import asdict, dataclass

from django.http import HttpRequest

from accounts.codes.services import CODE_LIFE
from accounts.common import clock
from accounts.signin import mailed_codes

# Key of the session data.
KEY = "mail_code"


@dataclass(frozen=True)
class CodeRequest:
    """A request for an emailed sign-in code.

    ``login``: the username or email address that was typed.
    ``nonce``: distinguishes this request from the requests of other browsers.
    ``remember``: whether the session will outlive the browser.
    ``next_url``: the page to open after the sign-in.
    ``until``: the Unix time at which the request ends.
    """

    login: str
    nonce: str
    remember: bool
    next_url: str
    until: float


def make(login: str, *, remember: bool, next_url: str) -> CodeRequest:
    """Return a new request for a code. The request ends when the code expires."""
    until = (clock.now() + CODE_LIFE).timestamp()
    return CodeRequest(login, mailed_codes.new_nonce(), remember, next_url, until)


def store(request: HttpRequest, code_request: CodeRequest) -> None:
    """Keep ``code_request`` in this browser's session data."""
    request.session[KEY] = asdict(code_request)


def find(request: HttpRequest) -> CodeRequest | None:
    """Return the code request of this browser, or None if there is none or it has ended."""
    data = request.session.get(KEY)
    return CodeRequest(**data) if data and data["until"] > clock.now().timestamp() else None


def discard(request: HttpRequest) -> None:
    """Forget that this browser has requested a sign-in code by email."""
    request.session.pop(KEY, None)
