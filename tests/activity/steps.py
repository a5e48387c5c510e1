"""Alice in her browser, and every kind of event as real requests and commands bring it about."""

import dataclasses
import io
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client

from accounts.mail.services import deliver_due
from accounts.sessions.models import BrowserSession
from accounts.sessions.store import digest
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.steps import (
    LOGOUT,
    PASSWORD,
    address_of,
    confirm,
    make_staff,
    sign_in,
    sign_in_twice,
    sign_up,
)

SESSIONS, REAUTHENTICATE, LOCKDOWN = (
    f"/accounts/{page}/" for page in ("sessions", "reauthenticate", "lockdown")
)
RESET, EMAIL, PROFILE = (f"/accounts/{page}/" for page in ("password/reset", "email", "profile"))
SECOND = "alice@second.example"
NEW_PASSWORD = "slow comet over the harbour"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)
HERE = ("127.0.0.1", "Firefox on Linux")
THERE = ("192.0.2.7", "Safari on iPhone")
NOWHERE = ("", "")


def firefox(version: int = 142) -> Client:
    return Client(headers={"user-agent": LINUX.format(version)})


def iphone() -> Client:
    return Client(headers={"user-agent": IPHONE}, REMOTE_ADDR=THERE[0])


def sid(browser: Client) -> uuid.UUID:
    """The login session that the browser is in."""
    login = BrowserSession.objects.get(pk=digest(browser.cookies["sessionid"].value)).login
    assert login
    return login.pk


def sent() -> list[EmailMessage]:
    """All mails so far; what waits leaves now."""
    deliver_due()
    return mail.outbox


@dataclass
class Scene:
    """Alice has signed up ``here`` and signed in ``there``; somebody else is the visitor."""

    settings: Any
    monkeypatch: pytest.MonkeyPatch
    clock: Clock
    here: Client
    there: Client
    visitor: Client = field(default_factory=Client)

    link: str = ""
    refresh: str = ""
    seed: str = ""
    recovery_code: str = ""
    passkey: Any = None

    @property
    def alice(self) -> User:
        """By the address that she keeps whatever happens."""
        return User.objects.get(addresses__address=address_of("alice"))


def bob_signs_up(scene: Scene) -> None:
    scene.visitor = firefox()
    sign_up(scene.visitor, "bob")


def carol_signs_in(scene: Scene) -> None:
    scene.visitor = iphone()
    assert sign_in_twice(scene.visitor, make_staff("carol")).url == "/"


def carol_comes_and_alice_is_off(scene: Scene) -> None:
    carol_signs_in(scene)
    User.objects.filter(username="alice").update(is_active=False)


def carol_changes(**fields: str) -> Callable[[Scene], object]:
    """Carol, a superuser, fills in the form about alice like that."""
    return lambda scene: scene.visitor.post(
        f"/admin/accounts/user/{scene.alice.pk}/change/", fields
    )


def sign_in_again(scene: Scene) -> None:
    scene.here.cookies.pop("sessionid")
    sign_in(scene.here, "alice")


def copy_the_cookie(scene: Scene, protection: str) -> None:
    """Alice's cookie in a phone that is not hers."""
    scene.settings.AUTHSITE = dataclasses.replace(
        scene.settings.AUTHSITE, session_protection=protection
    )
    thief = iphone()
    thief.cookies["sessionid"] = scene.here.cookies["sessionid"].value
    for _ in range(2):
        thief.get("/")


def prove_in_another_browser(scene: Scene) -> None:
    thief = iphone()
    thief.cookies["sessionid"] = scene.here.cookies["sessionid"].value
    thief.post(REAUTHENTICATE, {"password": PASSWORD})


def change_the_password(scene: Scene) -> None:
    scene.monkeypatch.setattr("getpass.getpass", lambda **_: NEW_PASSWORD)
    call_command("changepassword", "alice", stdout=io.StringIO())


def forget_the_password(scene: Scene) -> None:
    """Alice asks for a link, in a browser that nobody is signed in with."""
    scene.visitor = iphone()
    scene.visitor.post(RESET, {"login": "alice"})
    (scene.link,) = re.findall(rf"(?m)^https?://[^/]+({RESET}[\w-]+/)$", str(sent()[-1].body))


def lose_the_password(scene: Scene) -> None:
    """Alice is one of those who never had one."""
    User.objects.update(password=make_password(None))


def ask_for_a_third_address(scene: Scene) -> None:
    scene.here.post(EMAIL, {"email": "alice@third.example"})


def confirm_the_third_address(scene: Scene) -> None:
    """By the link that the newest mail has alone on a line."""
    body = str([mail for mail in sent() if mail.to == ["alice@third.example"]][-1].body)
    (link,) = re.findall(r"(?m)^https?://[^/]+(/accounts/email/confirm/[\w-]+/)$", body)
    scene.here.post(link)


def press(name: str) -> Callable[[Scene], object]:
    """That button beside alice's second address."""

    def act(scene: Scene) -> None:
        scene.here.post(EMAIL, {name: str(scene.alice.addresses.get(address=SECOND).pk)})

    return act


def save_a_profile(scene: Scene) -> None:
    fields = {"display_name": "", "about": "", "language": "en", "time_zone": "Asia/Tokyo"}
    scene.here.post(PROFILE, fields)


@dataclass(frozen=True)
class Way:
    """How a kind of event comes about; what its row says of where and by which proof; who hears."""

    act: Callable[[Scene], object]
    place: tuple[str, str] = HERE
    proof: str = ""
    actor: str = ""
    user: str = "alice"
    in_session: bool = True
    prepare: Callable[[Scene], object] = id
    told: tuple[str, ...] = (address_of("alice"),)


WAYS = {
    "signed_up": Way(
        lambda s: confirm(s.visitor, "bob"), user="bob", in_session=False, prepare=bob_signs_up
    ),
    "signed_in": Way(sign_in_again, proof="pwd"),
    "signed_in_new": Way(lambda _: sign_in(iphone(), "alice"), THERE, proof="pwd"),
    "signed_out": Way(lambda s: s.here.post(LOGOUT)),
    "proof_given": Way(lambda s: s.here.post(REAUTHENTICATE, {"password": PASSWORD}), proof="pwd"),
    "session_ended": Way(lambda s: s.here.post(SESSIONS, {"end": sid(s.there)})),
    "others_ended": Way(lambda s: s.here.post(SESSIONS, {"others": "1"})),
    "sign_in_failed": Way(
        lambda _: sign_in(iphone(), "alice", NEW_PASSWORD), THERE, in_session=False
    ),
    "proof_failed": Way(lambda s: s.here.post(REAUTHENTICATE, {"password": NEW_PASSWORD})),
    "browser_changed": Way(lambda s: copy_the_cookie(s, "basic"), THERE),
    "browser_proved": Way(prove_in_another_browser, THERE, proof="pwd"),
    "session_stopped": Way(lambda s: copy_the_cookie(s, "strong"), THERE),
    "password_changed": Way(change_the_password, NOWHERE, actor="@operator", in_session=False),
    "password_reset": Way(
        lambda s: s.visitor.post(s.link, {"password1": NEW_PASSWORD}),
        THERE,
        proof="mail",
        in_session=False,
        prepare=forget_the_password,
    ),
    "password_set": Way(
        lambda s: s.here.post("/accounts/password/set/", {"password1": NEW_PASSWORD}),
        proof="pwd mail",
        prepare=lose_the_password,
    ),
    "address_added": Way(confirm_the_third_address, prepare=ask_for_a_third_address),
    "address_removed": Way(press("remove"), told=(address_of("alice"), SECOND)),
    "primary_changed": Way(press("primary"), told=(address_of("alice"), SECOND)),
    "renamed": Way(
        lambda s: s.here.post(PROFILE, {"username": "alicia"}), proof="pwd mail", user="alicia"
    ),
    "profile_changed": Way(save_a_profile),
    "locked_down": Way(lambda s: s.here.post(LOCKDOWN), proof="pwd mail"),
    "all_ended": Way(
        lambda _: call_command("end_sessions", "alice", stdout=io.StringIO()),
        NOWHERE,
        actor="@operator",
        in_session=False,
    ),
    "rights_changed": Way(
        carol_changes(is_active="on", is_staff="on"), THERE, actor="carol", prepare=carol_signs_in
    ),
    "switched_off": Way(carol_changes(), THERE, actor="carol", prepare=carol_signs_in),
    "switched_on": Way(
        carol_changes(is_active="on"), THERE, actor="carol", prepare=carol_comes_and_alice_is_off
    ),
}
