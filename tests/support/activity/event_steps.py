"""Steps that cause events: what alice, a thief, staff and the operator do."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.mail.services import deliver_due
from accounts.recovery import suspension
from accounts.sessions.models import BrowserSession
from accounts.sessions.store import digest
from accounts.users import services as users
from accounts.users.models import FormerCredential, User
from tests.support import api_keys as keys
from tests.support import second_factor
from tests.support.api import get_tokens, renew, second_step
from tests.support.clock import Clock
from tests.support.openid_provider import OpenIDProvider
from tests.support.signin import set_up
from tests.support.social import configured, round_trip
from tests.support.steps import address_of, make_staff, sign_in

REAUTHENTICATE, RESET = "/accounts/reauthenticate/", "/accounts/password/reset/"
SESSIONS, EMAIL, PROFILE, LOCKDOWN = (
    f"/accounts/{page}/" for page in ("sessions", "email", "profile", "lockdown")
)
SECOND, THIRD = "alice@second.example", "alice@third.example"
NEW_PASSWORD = "slow comet over the harbour"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)
HERE, THERE = ("127.0.0.1", "Firefox on Linux"), ("192.0.2.7", "Safari on iPhone")
CAFE, NOWHERE = ("198.51.100.7", HERE[1]), ("", "")


def firefox(version: int = 142, *, at: str = HERE[0]) -> Client:
    return Client(headers={"user-agent": LINUX.format(version)}, REMOTE_ADDR=at)


def iphone() -> Client:
    return Client(headers={"user-agent": IPHONE}, REMOTE_ADDR=THERE[0])


def sent() -> list[EmailMessage]:
    """Return all sent mails; queued mails are sent first."""
    deliver_due()
    return mail.outbox


def links_in(body: object, page: str) -> list[str]:
    return re.findall(rf"(?m)^https?://[^/]+({page}[\w-]+/)$", str(body))


@dataclass
class Scene:
    """Alice has signed up ``here`` and signed in ``there``; ``visitor`` is another browser."""

    settings: Any
    clock: Clock
    here: Client = field(default_factory=firefox)
    there: Client = field(default_factory=iphone)
    visitor: Client = field(default_factory=iphone)
    # The return value of the preparation, which the act uses.
    prepared: Any = None

    @property
    def alice(self) -> User:
        """Alice, found by the email that no step removes."""
        return User.objects.get(emails__email=address_of("alice"))


type Act = Callable[[Scene], Any]


def post(path: str = "", **fields: str) -> Act:
    """Return an act in which alice posts a form ``here``, by default to the prepared path."""
    return lambda scene: scene.here.post(path or scene.prepared, fields)


def in_turn(*acts: Act) -> Act:
    """Return an act that runs several acts in order and returns the result of the last."""
    return lambda scene: [act(scene) for act in acts][-1]


def command(*words: str) -> Act:
    return lambda _scene: call_command(*words, stdout=io.StringIO(), verbosity=0)


def guess_alices_password(_scene: Scene) -> None:
    sign_in(firefox(), "alice", NEW_PASSWORD)


def alice_was(**fields: bool) -> Act:
    """Return an act that changes the row of alice, without a word to her."""
    return lambda s: User.objects.filter(pk=s.alice.pk).update(**fields)


def allow_one_session(scene: Scene) -> None:
    set_up(scene.settings, max_sessions=2)


def sign_in_alice(browser: Client) -> Any:
    browser.cookies.pop("sessionid", None)
    return sign_in(browser, "alice")


def thief_of(scene: Scene) -> Client:
    """Return another person's phone that has alice's session cookie."""
    thief = iphone()
    thief.cookies["sessionid"] = scene.here.cookies["sessionid"].value
    return thief


def end_the_other_session(scene: Scene) -> None:
    row = BrowserSession.objects.get(pk=digest(scene.there.cookies["sessionid"].value))
    scene.here.post(SESSIONS, {"end": row.login_session_id})


def copy_the_cookie(protection: str) -> Act:
    def act(scene: Scene) -> None:
        set_up(scene.settings, session_protection=protection)
        thief = thief_of(scene)
        for _ in range(2):
            thief.get("/")

    return act


def newest_link(page: str, to: str = address_of("alice")) -> str:
    (link,) = links_in([mail for mail in sent() if mail.to == [to]][-1].body, page)
    return link


def request_a_password_reset(scene: Scene) -> str:
    scene.visitor.post(RESET, {"login": "alice"})
    return newest_link(RESET)


def add_an_address(scene: Scene) -> str:
    scene.here.post(EMAIL, {"email": THIRD})
    return newest_link("/accounts/email/confirm/", THIRD)


def press_email_button(name: str) -> Act:
    """Return an act that presses a button beside alice's second email."""
    return lambda s: s.here.post(EMAIL, {name: s.alice.emails.get(email=SECOND).pk})


def add_a_recent_address(scene: Scene) -> None:
    scene.clock.advance(minutes=2)
    users.confirm_email(scene.alice, THIRD)
    scene.here.get("/")


def suspend_the_address(scene: Scene) -> FormerCredential:
    add_a_recent_address(scene)
    suspension.suspend(scene.alice, scene.clock.now(), Actor())
    return FormerCredential.objects.get()


def leave_the_review_unfinished(scene: Scene) -> None:
    suspend_the_address(scene)
    now = scene.clock.now()
    User.objects.update(disputed_at=now, password_at=now)
    scene.clock.advance(days=30)


def review(act: str) -> Act:
    return lambda s: s.here.post("/accounts/review/", {act: s.prepared.pk})


def have_a_token(_scene: Scene) -> str:
    """Return a refresh token that a program gets at alice's phone.

    The phone's browser is known, but the program is not.
    """
    return str(get_tokens("alice", iphone())["refresh"])


def have_an_access_token(scene: Scene) -> str:
    """Return an access token that is valid for longer than five minutes."""
    set_up(scene.settings, access_token_seconds=3600)
    return str(get_tokens("alice", iphone())["access"])


def let_carol_read(scene: Scene) -> str:
    set_up(scene.settings, access_token_seconds=3600)
    challenge = get_tokens(make_staff("carol").username, iphone(), scope="users:read")["challenge"]
    code = second_factor.unused_code(User.objects.get(username="carol"))
    return str(second_step(challenge, code, iphone())["access"])


def have_a_replaced_token(scene: Scene) -> str:
    """Return a refresh token that was replaced twice.

    Using it once more is no retry after a lost answer.
    """
    first = have_a_token(scene)
    renew(renew(first, iphone())["refresh"], iphone())
    return first


def wait_until_a_key_expires_soon(scene: Scene) -> None:
    scene.here.post(keys.NEW, keys.FORM)
    scene.clock.advance(days=23, minutes=-1)
    call_command("prune", verbosity=0)
    scene.clock.advance(minutes=1)


def bring_an_identity(scene: Scene) -> None:
    with OpenIDProvider() as op:
        configured(scene.settings, op.setting())
        round_trip(scene.here, op, act="connect")


connect = post("/accounts/3rdparty/confirm/", connect="1")


def with_known_cookie(browser: Client, scene: Scene) -> Client:
    """Copy the known-browser cookie of the browser ``here`` into ``browser``."""
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser
