"""Alice in her browsers, and every kind of event as real requests and commands bring it about."""

import dataclasses
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client

from accounts.apikeys.models import APIKey
from accounts.identities.models import Identity
from accounts.mail.services import deliver_due
from accounts.sessions.models import BrowserSession
from accounts.sessions.store import digest
from accounts.throttle.limits import FACTOR_ACCOUNT
from accounts.twofactor.models import Authenticator
from accounts.twofactor.models import Passkey as PasskeyRow
from accounts.users.models import User
from tests.attacks.key_steps import FORM, KEYS
from tests.attacks.key_steps import NEW as NEW_KEY
from tests.conftest import Clock
from tests.support import second, webauthn
from tests.support.api import Answer, get_tokens, renew
from tests.support.api import call as call_api
from tests.support.openid_provider import OpenIDProvider
from tests.support.second import CHALLENGE, RECOVERY_CODES, SETUP
from tests.support.social import configured, through
from tests.support.steps import (
    LOGIN,
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


def sent() -> list[EmailMessage]:
    """All mails so far; what waits leaves now."""
    deliver_due()
    return mail.outbox


@dataclass
class Scene:
    """Alice has signed up ``here`` and signed in ``there``; somebody else is the visitor."""

    settings: Any
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


type Act = Callable[[Scene], object]


@dataclass(frozen=True)
class Way:
    """How a kind of event comes about; what its row says of where and by which proof; who hears."""

    act: Act
    place: tuple[str, str] = HERE
    proof: str = ""
    actor: str = ""
    user: str = "alice"
    in_session: bool = True
    prepare: Act = id
    told: tuple[str, ...] = (address_of("alice"),)


def posted(path: str, **fields: str) -> Act:
    """Alice posts that form ``here``."""
    return lambda scene: scene.here.post(path, fields)


def both(*acts: Act) -> Act:
    return lambda scene: [act(scene) for act in acts]


def command(*words: str) -> Act:
    return lambda _scene: call_command(*words, stdout=io.StringIO(), verbosity=0)


def bob_signs_up(scene: Scene) -> None:
    scene.visitor = firefox()
    sign_up(scene.visitor, "bob")


def carol_signs_in(scene: Scene) -> None:
    scene.visitor = iphone()
    assert sign_in_twice(scene.visitor, make_staff("carol")).url == "/"


def carol_changes(**fields: str) -> Act:
    """Carol, a superuser, fills in the form about alice like that."""
    return lambda scene: scene.visitor.post(
        f"/admin/accounts/user/{scene.alice.pk}/change/", fields
    )


def alice_is_off(_scene: Scene) -> None:
    User.objects.filter(username="alice").update(is_active=False)


def sign_in_again(scene: Scene) -> None:
    scene.here.cookies.pop("sessionid", None)
    sign_in(scene.here, "alice")


def end_the_other_session(scene: Scene) -> None:
    row = BrowserSession.objects.get(pk=digest(scene.there.cookies["sessionid"].value))
    scene.here.post(SESSIONS, {"end": row.login_id})


def thief_of(scene: Scene) -> Client:
    """A phone that is not alice's, with the cookie of her browser."""
    thief = iphone()
    thief.cookies["sessionid"] = scene.here.cookies["sessionid"].value
    return thief


def copy_the_cookie(protection: str) -> Act:
    def act(scene: Scene) -> None:
        scene.settings.AUTHSITE = dataclasses.replace(
            scene.settings.AUTHSITE, session_protection=protection
        )
        thief = thief_of(scene)
        for _ in range(2):
            thief.get("/")

    return act


def forget_the_password(scene: Scene) -> None:
    """Alice asks for a link, in a browser that nobody is signed in with."""
    scene.visitor = iphone()
    scene.visitor.post(RESET, {"login": "alice"})
    (scene.link,) = re.findall(rf"(?m)^https?://[^/]+({RESET}[\w-]+/)$", str(sent()[-1].body))


def never_had_a_password(_scene: Scene) -> None:
    User.objects.update(password=make_password(None))


def confirm_the_third_address(scene: Scene) -> None:
    """By the link that the newest mail has alone on a line."""
    body = str([mail for mail in sent() if mail.to == ["alice@third.example"]][-1].body)
    (link,) = re.findall(r"(?m)^https?://[^/]+(/accounts/email/confirm/[\w-]+/)$", body)
    scene.here.post(link)


def press(name: str) -> Act:
    """That button beside alice's second address."""
    return lambda scene: scene.here.post(
        EMAIL, {name: str(scene.alice.addresses.get(address=SECOND).pk)}
    )


def open_the_setup(scene: Scene) -> None:
    scene.seed = second.seed_on(scene.here.get(SETUP).text)


def have_an_authenticator(scene: Scene) -> None:
    second.enrolled(scene.alice)


def show_the_authenticator(scene: Scene) -> None:
    """``here``: who has one and would change it has shown it."""
    have_an_authenticator(scene)
    scene.here.post(REAUTHENTICATE, {"code": second.unused_code(scene.alice)})


def post_to_the_authenticator(**fields: str) -> Act:
    return lambda scene: scene.here.post(
        f"/accounts/2fa/totp/{Authenticator.objects.get(user=scene.alice).pk}/", fields
    )


def take_the_first_step(scene: Scene) -> None:
    """``there``, by the password; the second is asked for."""
    scene.there.cookies.pop("sessionid", None)
    assert sign_in(scene.there, "alice").url == CHALLENGE


wait_for_the_second_step = both(have_an_authenticator, take_the_first_step)


def fail(times: int) -> Act:
    """Type a wrong code; the first of a day is news, others are not."""
    return lambda scene: [
        scene.there.post(CHALLENGE, {"code": "000000"}).status_code for _ in range(times)
    ]


def have_a_recovery_code(scene: Scene) -> None:
    show_the_authenticator(scene)
    scene.here.post(RECOVERY_CODES, {"new": "1"})
    scene.recovery_code = second.recovery_codes_on(scene.here.get(RECOVERY_CODES).text)[0]


def say_that_all_is_lost(scene: Scene) -> None:
    scene.there.post(CHALLENGE, {"lost": "ask"})


ask_for_the_removal = both(wait_for_the_second_step, say_that_all_is_lost)


def sit_out_the_waiting_period(scene: Scene) -> None:
    ask_for_the_removal(scene)
    scene.clock.advance(hours=72)
    forget_the_password(scene)


def add_a_passkey(scene: Scene) -> None:
    """After a proof: what the page asks for is good for as long as the page waits for one."""
    scene.here.post(REAUTHENTICATE, {"password": PASSWORD})
    asked = webauthn.options_on(scene.here.get(webauthn.ADD).text)
    scene.here.post(webauthn.ADD, {"credential": webauthn.Passkey().create(asked)})


def show_a_passkey(scene: Scene) -> None:
    """``here``: who has one and would change it has shown it."""
    passkey = webauthn.registered(scene.alice)
    answer = passkey.get(webauthn.options_on(scene.here.get(REAUTHENTICATE).text))
    scene.here.post(REAUTHENTICATE, {"credential": answer})


def post_to_the_passkey(**fields: str) -> Act:
    return lambda scene: scene.here.post(
        f"{webauthn.PASSKEYS}{PasskeyRow.objects.get().pk}/", fields
    )


def use_a_copy(scene: Scene) -> None:
    """``there``, of a key that has been used more often than the copy says."""
    copy = webauthn.registered(scene.alice, counts=True)
    PasskeyRow.objects.update(sign_count=5)
    scene.there.cookies.pop("sessionid", None)
    answer = copy.get(webauthn.options_on(scene.there.get(LOGIN).text))
    scene.there.post(webauthn.LOGIN_PASSKEY, {"credential": answer})


def wait_for_a_passkey(scene: Scene) -> None:
    """``there``, the password shown and the passkey at hand."""
    scene.passkey = webauthn.registered(scene.alice)
    take_the_first_step(scene)


def trust_a_browser(scene: Scene) -> None:
    answer = scene.passkey.get(webauthn.options_on(scene.there.get(CHALLENGE).text))
    scene.there.post(CHALLENGE, {"credential": answer, "trust": "on"})


def sign_a_program_in(_scene: Scene) -> Answer:
    """``there``; that a browser is known there says nothing of programs."""
    return get_tokens("alice", iphone())


def have_tokens(scene: Scene) -> None:
    scene.refresh = sign_a_program_in(scene)["refresh"]


def use_the_token(scene: Scene) -> Answer:
    return renew(scene.refresh, iphone())


def have_renewed_twice(scene: Scene) -> None:
    """So that no answer to the first can have been lost."""
    have_tokens(scene)
    renew(use_the_token(scene)["refresh"], iphone())


def end_the_key(scene: Scene) -> None:
    scene.here.post(KEYS, {"end": APIKey.objects.get().pk})


def wait_for_the_last_week(scene: Scene) -> None:
    scene.here.post(NEW_KEY, FORM)
    scene.clock.advance(days=23, minutes=-1)
    call_command("prune", verbosity=0)
    scene.clock.advance(minutes=1)


def come_with_an_identity(scene: Scene) -> None:
    with OpenIDProvider() as op:
        configured(scene.settings, op.setting())
        through(scene.here, op, act="connect")


connect = posted("/accounts/3rdparty/confirm/", connect="1")


def disconnect(scene: Scene) -> None:
    scene.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk})


of_operator = partial(Way, place=NOWHERE, actor="@operator", in_session=False)
of_carol = partial(Way, place=THERE, actor="carol", prepare=carol_signs_in)
of_stranger = partial(Way, place=THERE, in_session=False)

WAYS = {
    "signed_up": Way(
        lambda s: confirm(s.visitor, "bob"), user="bob", in_session=False, prepare=bob_signs_up
    ),
    "signed_in": Way(sign_in_again, proof="pwd"),
    "signed_in_new": Way(lambda _: sign_in(iphone(), "alice"), THERE, proof="pwd"),
    "signed_out": Way(posted(LOGOUT)),
    "proof_given": Way(posted(REAUTHENTICATE, password=PASSWORD), proof="pwd"),
    "session_ended": Way(end_the_other_session),
    "others_ended": Way(posted(SESSIONS, others="1")),
    "sign_in_failed": of_stranger(lambda _: sign_in(iphone(), "alice", NEW_PASSWORD)),
    "proof_failed": Way(posted(REAUTHENTICATE, password=NEW_PASSWORD)),
    "browser_changed": Way(copy_the_cookie("basic"), THERE),
    "browser_proved": Way(
        lambda s: thief_of(s).post(REAUTHENTICATE, {"password": PASSWORD}), THERE, proof="pwd"
    ),
    "session_stopped": Way(copy_the_cookie("strong"), THERE),
    "password_changed": of_operator(command("changepassword", "alice")),
    "password_reset": of_stranger(
        lambda s: s.visitor.post(s.link, {"password1": NEW_PASSWORD}),
        proof="mail",
        prepare=forget_the_password,
    ),
    "password_set": Way(
        posted("/accounts/password/set/", password1=NEW_PASSWORD),
        proof="pwd mail",
        prepare=never_had_a_password,
    ),
    "address_added": Way(
        confirm_the_third_address, prepare=posted(EMAIL, email="alice@third.example")
    ),
    "address_removed": Way(press("remove"), told=(address_of("alice"), SECOND)),
    "primary_changed": Way(press("primary"), told=(address_of("alice"), SECOND)),
    "renamed": Way(posted(PROFILE, username="alicia"), proof="pwd mail", user="alicia"),
    "profile_changed": Way(
        posted(PROFILE, display_name="", about="", language="en", time_zone="Asia/Tokyo")
    ),
    "locked_down": Way(posted(LOCKDOWN), proof="pwd mail"),
    "all_ended": of_operator(command("end_sessions", "alice")),
    "rights_changed": of_carol(carol_changes(is_active="on", is_staff="on")),
    "switched_off": of_carol(carol_changes()),
    "switched_on": of_carol(
        carol_changes(is_active="on"), prepare=both(carol_signs_in, alice_is_off)
    ),
    "factor_added": Way(
        lambda s: s.here.post(SETUP, {"code": second.code_of(s.seed)}),
        proof="otp",
        prepare=open_the_setup,
    ),
    "factor_renamed": Way(post_to_the_authenticator(name="Tablet"), prepare=show_the_authenticator),
    "factor_removed": Way(
        post_to_the_authenticator(remove="1"), proof="pwd mail otp", prepare=show_the_authenticator
    ),
    "factors_reset": of_operator(
        command("reset_second_factor", "alice"), prepare=have_an_authenticator
    ),
    "factors_recovered": of_stranger(
        lambda s: s.visitor.post(s.link, {"lost": "finish"}),
        proof="mail",
        prepare=sit_out_the_waiting_period,
    ),
    "factor_failed_new": of_stranger(fail(1), prepare=wait_for_the_second_step),
    "factor_failed": of_stranger(fail(1), prepare=both(wait_for_the_second_step, fail(1))),
    "factor_blocked": of_stranger(
        fail(FACTOR_ACCOUNT.burst + 1), prepare=both(wait_for_the_second_step, fail(1))
    ),
    "recovery_codes_made": Way(
        posted(RECOVERY_CODES, new="1"), proof="pwd mail otp", prepare=show_the_authenticator
    ),
    "recovery_code_used": Way(
        lambda s: s.here.post(REAUTHENTICATE, {"code": s.recovery_code}),
        prepare=have_a_recovery_code,
    ),
    "recovery_asked": of_stranger(
        say_that_all_is_lost, proof="pwd", prepare=wait_for_the_second_step
    ),
    "recovery_cancelled": Way(
        posted("/accounts/2fa/", cancel="1"), proof="pwd mail", prepare=ask_for_the_removal
    ),
    "passkey_added": Way(add_a_passkey, proof="passkey"),
    "passkey_renamed": Way(post_to_the_passkey(name="Laptop"), prepare=show_a_passkey),
    "passkey_removed": Way(
        post_to_the_passkey(remove="1"), proof="pwd mail passkey", prepare=show_a_passkey
    ),
    "passkey_suspect": of_stranger(use_a_copy),
    "browser_trusted": Way(trust_a_browser, THERE, prepare=wait_for_a_passkey),
    "trust_ended": Way(
        posted("/accounts/2fa/trusted/", all="1"),
        prepare=both(wait_for_a_passkey, trust_a_browser),
    ),
    "client_signed_in": Way(sign_a_program_in, THERE, proof="pwd", prepare=sign_a_program_in),
    "client_signed_in_new": Way(sign_a_program_in, THERE, proof="pwd"),
    "client_signed_out": Way(
        lambda s: call_api("token/revoke/", {"token": s.refresh}, client=iphone()),
        THERE,
        prepare=have_tokens,
    ),
    "token_reused": Way(use_the_token, THERE, prepare=have_renewed_twice),
    "key_made": Way(posted(NEW_KEY, **FORM)),
    "key_ended": Way(end_the_key, prepare=posted(NEW_KEY, **FORM)),
    "key_expires": Way(command("prune"), NOWHERE, in_session=False, prepare=wait_for_the_last_week),
    "provider_connected": Way(connect, proof="pwd mail", prepare=come_with_an_identity),
    "provider_disconnected": Way(
        disconnect, proof="pwd mail", prepare=both(come_with_an_identity, connect)
    ),
}
