"""Steps that bring about events: what alice, a thief or staff do."""

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
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users import services as users
from accounts.users.models import FormerCredential, User
from tests.attacks import key_steps as keys
from tests.conftest import Clock
from tests.support import second_factor, webauthn
from tests.support.api import get_tokens, renew, second_step
from tests.support.openid_provider import OpenIDProvider
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES
from tests.support.signin import set_up
from tests.support.social import configured, round_trip
from tests.support.steps import (
    PASSWORD,
    address_of,
    make_staff,
    sign_in,
    sign_in_twice,
)

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
    """All mails so far; what waits leaves now."""
    deliver_due()
    return mail.outbox


def links_in(body: object, page: str) -> list[str]:
    return re.findall(rf"(?m)^https?://[^/]+({page}[\w-]+/)$", str(body))


@dataclass
class Scene:
    """Alice has signed up ``here`` and signed in ``there``; somebody else is the visitor."""

    settings: Any
    clock: Clock
    here: Client = field(default_factory=firefox)
    there: Client = field(default_factory=iphone)
    visitor: Client = field(default_factory=iphone)
    # What the preparation returns, for the act.
    kept: Any = None

    @property
    def alice(self) -> User:
        """By the address that she keeps whatever happens."""
        return User.objects.get(emails__email=address_of("alice"))


type Act = Callable[[Scene], Any]


def post(path: str = "", **fields: str) -> Act:
    """Alice posts ``here``, without ``path`` to the page that was prepared."""
    return lambda scene: scene.here.post(path or scene.kept, fields)


def both(*acts: Act) -> Act:
    """Do one after the other; return what the last returns."""
    return lambda scene: [act(scene) for act in acts][-1]


def command(*words: str) -> Act:
    return lambda _scene: call_command(*words, stdout=io.StringIO(), verbosity=0)


def carol_signs_in(scene: Scene) -> None:
    assert sign_in_twice(scene.visitor, make_staff("carol")).url == "/"


def carol_changes(**fields: str) -> Act:
    """Carol, a superuser, fills in the form about alice like that."""
    return lambda s: s.visitor.post(f"/admin/accounts/user/{s.alice.pk}/change/", fields)


def switch_alice_off(scene: Scene) -> None:
    User.objects.filter(pk=scene.alice.pk).update(is_active=False)


def allow_one_session(scene: Scene) -> None:
    set_up(scene.settings, max_sessions=2)


def signs_in(browser: Client) -> Any:
    browser.cookies.pop("sessionid", None)
    return sign_in(browser, "alice")


def thief_of(scene: Scene) -> Client:
    """A phone that is not alice's, with the cookie of her browser."""
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


def forget_the_password(scene: Scene) -> str:
    scene.visitor.post(RESET, {"login": "alice"})
    return newest_link(RESET)


def add_an_address(scene: Scene) -> str:
    scene.here.post(EMAIL, {"email": THIRD})
    return newest_link("/accounts/email/confirm/", THIRD)


def press(name: str) -> Act:
    """That button beside alice's second address."""
    return lambda s: s.here.post(EMAIL, {name: s.alice.emails.get(email=SECOND).pk})


def have_an_authenticator(scene: Scene) -> None:
    second_factor.enrolled(scene.alice)


def show_the_authenticator(scene: Scene) -> str:
    """Prove it ``here``; return its page."""
    have_an_authenticator(scene)
    scene.here.post(REAUTHENTICATE, {"code": second_factor.unused_code(scene.alice)})
    return f"/accounts/2fa/totp/{Authenticator.objects.get(user=scene.alice).pk}/"


def take_the_first_step(scene: Scene) -> None:
    """``there``, by the password; the second is asked for."""
    assert signs_in(scene.there).url == CHALLENGE


def fail(times: int) -> Act:
    """Type a wrong code; the first of a day is news, others are not."""
    return lambda s: [s.there.post(CHALLENGE, {"code": "000000"}) for _ in range(times)]


def say_that_all_is_lost(scene: Scene) -> None:
    scene.there.post(CHALLENGE, {"lost": "ask"})


wait_for_the_second_step = both(have_an_authenticator, take_the_first_step)
ask_for_the_removal = both(wait_for_the_second_step, say_that_all_is_lost)


def sit_out_the_waiting_period(scene: Scene) -> None:
    ask_for_the_removal(scene)
    scene.clock.advance(hours=72)
    take_the_first_step(scene)


def add_a_young_address(scene: Scene) -> None:
    scene.clock.advance(minutes=2)
    users.confirm_email(scene.alice, THIRD)
    scene.here.get("/")


def suspend_it(scene: Scene) -> FormerCredential:
    add_a_young_address(scene)
    suspension.suspend(scene.alice, scene.clock.now(), Actor())
    return FormerCredential.objects.get()


def forget_the_review(scene: Scene) -> None:
    suspend_it(scene)
    now = scene.clock.now()
    User.objects.update(disputed_at=now, password_at=now)
    scene.clock.advance(days=30)


def review(act: str) -> Act:
    return lambda s: s.here.post("/accounts/review/", {act: s.kept.pk})


def have_a_recovery_code(scene: Scene) -> str:
    show_the_authenticator(scene)
    scene.here.post(RECOVERY_CODES, {"new": "1"})
    return second_factor.recovery_codes_on(scene.here.get(RECOVERY_CODES).text)[0]


def add_a_passkey(scene: Scene) -> None:
    """After a proof: what the page asks for is good for as long as the page waits for one."""
    scene.here.post(REAUTHENTICATE, {"password": PASSWORD})
    asked = webauthn.options_on(scene.here.get(webauthn.ADD).text)
    scene.here.post(webauthn.ADD, {"credential": webauthn.Passkey().create(asked)})


def show_a_passkey(scene: Scene) -> str:
    """Prove it ``here``; return its page."""
    passkey = webauthn.registered(scene.alice)
    answer = passkey.get(webauthn.options_on(scene.here.get(REAUTHENTICATE).text))
    scene.here.post(REAUTHENTICATE, {"credential": answer})
    return f"{webauthn.PASSKEYS}{Passkey.objects.get().pk}/"


def have_a_copy(scene: Scene) -> webauthn.Passkey:
    """Of a key that has been used more often than the copy says."""
    copy = webauthn.registered(scene.alice, counts=True)
    Passkey.objects.update(sign_count=5)
    scene.there.cookies.pop("sessionid")
    return copy


def wait_for_a_passkey(scene: Scene) -> webauthn.Passkey:
    """``there``, the password shown and the passkey at hand."""
    scene.kept = webauthn.registered(scene.alice)
    take_the_first_step(scene)
    return scene.kept


def show_it_there(page: str, to: str, **more: str) -> Act:
    """Post what the passkey answers to the options on ``page``."""

    def act(scene: Scene) -> None:
        answer = scene.kept.get(webauthn.options_on(scene.there.get(page).text))
        scene.there.post(to, {"credential": answer, **more})

    return act


trust_a_browser = show_it_there(CHALLENGE, CHALLENGE, trust="on")


def have_a_token(_scene: Scene) -> str:
    """``there``; that a browser is known there says nothing of programs."""
    return str(get_tokens("alice", iphone())["refresh"])


def have_access(scene: Scene) -> str:
    """For longer than five minutes."""
    set_up(scene.settings, access_token_seconds=3600)
    return str(get_tokens("alice", iphone())["access"])


def let_carol_read(scene: Scene) -> str:
    set_up(scene.settings, access_token_seconds=3600)
    challenge = get_tokens(make_staff("carol").username, iphone(), scope="users:read")["challenge"]
    code = second_factor.unused_code(User.objects.get(username="carol"))
    return str(second_step(challenge, code, iphone())["access"])


def have_renewed_twice(scene: Scene) -> str:
    """So that no answer to the first can have been lost."""
    first = have_a_token(scene)
    renew(renew(first, iphone())["refresh"], iphone())
    return first


def wait_for_the_last_week(scene: Scene) -> None:
    scene.here.post(keys.NEW, keys.FORM)
    scene.clock.advance(days=23, minutes=-1)
    call_command("prune", verbosity=0)
    scene.clock.advance(minutes=1)


def come_with_an_identity(scene: Scene) -> None:
    with OpenIDProvider() as op:
        configured(scene.settings, op.setting())
        round_trip(scene.here, op, act="connect")


connect = post("/accounts/3rdparty/confirm/", connect="1")


def knowing(browser: Client, scene: Scene) -> Client:
    """``browser``, with the cookie of the one ``here``."""
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser
