"""A sign-in under way at a provider: kept in this browser's session, good once, for ten minutes.

``state`` (RFC 6749 section 10.12) is the secret of a link of ours: it's spent in one statement, and
leads only the browser that began to what it began.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock, secrets
from accounts.common.errors import PublicError
from accounts.sessions.current import RequestAuth

STATE = Purpose("provider.state", life=timedelta(minutes=10))
KEY = "provider_attempts"
# Tabs of one browser.
MOST = 5


class Act(StrEnum):
    """What somebody goes to a provider for."""

    SIGN_IN = "sign-in"
    CONNECT = "connect"
    PROVE = "prove"


class NotBegunHere(PublicError):
    """Missing, wrong, used, too old, another browser's, or another provider's."""

    code = "wrong_state"
    message = _("That was begun in another browser, or too long ago. Begin it again.")


def allowed_act(wanted: str | None, request_auth: RequestAuth) -> Act:
    """Return the act that a request may begin at a provider, if it asks for ``wanted``.

    Connecting needs a session. Reauthentication also takes a session in a changed browser, which
    is what reauthentication is for. Everybody else can only sign in.
    """
    if wanted == Act.CONNECT and request_auth.session:
        return Act.CONNECT
    if wanted == Act.PROVE and request_auth.presented:
        return Act.PROVE
    return Act.SIGN_IN


@dataclass(frozen=True)
class Attempt:
    """At which provider, what for, and what its answer must fit."""

    provider: str
    act: Act
    nonce: str
    verifier: str
    began: float
    next_url: str = ""
    remember: bool = False
    # In which login session, if it's not to sign in.
    session: str = ""

    @property
    def began_at(self) -> datetime:
        """When the browser was sent there."""
        return datetime.fromtimestamp(self.began, tz=clock.now().tzinfo)


def start(
    request: HttpRequest,
    provider: str,
    act: Act,
    *,
    next_url: str,
    remember: bool,
    session: str,
) -> tuple[str, Attempt]:
    """A new attempt of this browser, and the state that leads back to it."""
    now = clock.now().timestamp()
    # 256 bits each, in the alphabet of RFC 7636 section 4.1.
    attempt = Attempt(
        provider, act, secrets.token(), secrets.token(), now, next_url, remember, session
    )
    key = secrets.token(16)
    kept = {**request.session.get(KEY, {}), key: asdict(attempt)}
    newest = sorted(kept, key=lambda k: kept[k]["began"])[-MOST:]
    request.session[KEY] = {k: kept[k] for k in newest}
    return codes.issue_link(STATE, key), attempt


def take(request: HttpRequest, provider: str, state: str) -> Attempt:
    """The attempt that ``state`` leads to, for this once; :class:`NotBegunHere`."""
    key = codes.subject_of(STATE, state) if state else None
    kept = request.session.get(KEY, {})
    if key is None or key not in kept or kept[key]["provider"] != provider:
        raise NotBegunHere
    request.session[KEY] = {k: kept[k] for k in kept if k != key}
    if not codes.spend(STATE, key, state):
        raise NotBegunHere
    return Attempt(**{**kept[key], "act": Act(kept[key]["act"])})
