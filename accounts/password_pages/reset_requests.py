"""Stores in the session data of a browser that it asked for a password reset.

Only that browser is signed in at once after the reset. Otherwise, an attacker could send a victim
the reset link of the attacker's own account, and the victim would be signed in to it (login CSRF).
"""

from dataclasses import asdict, dataclass

from django.http import HttpRequest

from accounts.password_pages.services import Reset

# Key of the session data.
KEY = "reset_request"


@dataclass(frozen=True)
class ResetRequest:
    """A request for a reset link.

    ``nonce``: the part of the link's subject that no other link has.
    ``next_url``: the page to open after the sign-in.
    ``remember``: whether the session will outlive the browser.
    """

    nonce: str
    next_url: str = ""
    remember: bool = False


def store(request: HttpRequest, reset_request: ResetRequest) -> None:
    """Keep ``reset_request`` in this browser's session data, in place of an earlier one."""
    request.session[KEY] = asdict(reset_request)


def pop(request: HttpRequest, found: Reset) -> ResetRequest | None:
    """Delete and return the request of this browser, or None if ``found`` is not its link."""
    data = request.session.pop(KEY, None)
    return ResetRequest(**data) if data and data["nonce"] == found.nonce else None
