"""Every kind of event: what brings it about, what its row says, and who is told by mail."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core import mail, serializers
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client
from django.utils.formats import date_format

from accounts.activity.events import EVENTS, LOCKED_DOWN, SIGNED_IN, Event, Group
from accounts.activity.models import Activity
from accounts.activity.services import NOBODYS_LIFE, Source, record
from accounts.addresses.models import PendingAddress
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.identities.models import Identity
from accounts.mail.models import OutgoingMail
from accounts.mail.services import deliver_due
from accounts.recovery import suspension
from accounts.recovery.models import Recovery
from accounts.sessions.models import BrowserSession, KnownBrowser, LoginSession
from accounts.sessions.store import digest
from accounts.throttle.limits import FACTOR_LINE
from accounts.throttle.models import Budget
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes
from accounts.users import services as users
from accounts.users.models import Address, FormerCredential, User, Username
from tests.attacks import key_steps as keys
from tests.conftest import Clock
from tests.support import second, webauthn
from tests.support.api import call, exchange, get_tokens, renew, second_step
from tests.support.openid_provider import OpenIDProvider
from tests.support.second import CHALLENGE, RECOVERY_CODES, SETUP
from tests.support.signin import set_up
from tests.support.social import configured, through
from tests.support.steps import (
    LOGIN,
    LOGOUT,
    PASSWORD,
    address_of,
    confirm,
    make_staff,
    make_user,
    sign_in,
    sign_in_twice,
    sign_up,
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
        return User.objects.get(addresses__address=address_of("alice"))


type Act = Callable[[Scene], Any]


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
    # By default, a change at every address and anything else at the primary one.
    told: tuple[str, ...] = ()


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
    scene.here.post(SESSIONS, {"end": row.login_id})


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
    return lambda s: s.here.post(EMAIL, {name: s.alice.addresses.get(address=SECOND).pk})


def have_an_authenticator(scene: Scene) -> None:
    second.enrolled(scene.alice)


def show_the_authenticator(scene: Scene) -> str:
    """Prove it ``here``; return its page."""
    have_an_authenticator(scene)
    scene.here.post(REAUTHENTICATE, {"code": second.unused_code(scene.alice)})
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
    users.confirm_address(scene.alice, THIRD)
    scene.here.get("/")


def suspend_it(scene: Scene) -> FormerCredential:
    add_a_young_address(scene)
    suspension.suspend(scene.alice, scene.clock.now(), Source())
    return FormerCredential.objects.get()


def review(act: str) -> Act:
    return lambda s: s.here.post("/accounts/review/", {act: s.kept.pk})


def have_a_recovery_code(scene: Scene) -> str:
    show_the_authenticator(scene)
    scene.here.post(RECOVERY_CODES, {"new": "1"})
    return second.recovery_codes_on(scene.here.get(RECOVERY_CODES).text)[0]


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
    code = second.unused_code(User.objects.get(username="carol"))
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
        through(scene.here, op, act="connect")


connect = post("/accounts/3rdparty/confirm/", connect="1")

of_operator = partial(Way, place=NOWHERE, actor="@operator", in_session=False)
of_carol = partial(Way, place=THERE, actor="carol", prepare=carol_signs_in)
of_stranger = partial(Way, place=THERE, in_session=False)
of_authenticator = partial(Way, prepare=show_the_authenticator)
of_passkey = partial(Way, prepare=show_a_passkey)
at_second_step = partial(of_stranger, prepare=wait_for_the_second_step)
after_a_failure = both(wait_for_the_second_step, fail(1))

WAYS = {
    "signed_up": of_stranger(
        lambda s: confirm(s.visitor, "bob"), user="bob", prepare=lambda s: sign_up(s.visitor, "bob")
    ),
    "signed_in": Way(lambda s: signs_in(s.here), proof="pwd"),
    "signed_in_new": Way(lambda _: signs_in(iphone()), THERE, "pwd"),
    "signed_in_network": Way(lambda s: signs_in(knowing(firefox(at=CAFE[0]), s)), CAFE, "pwd"),
    "signed_out": Way(post(LOGOUT)),
    "proof_given": Way(post(REAUTHENTICATE, password=PASSWORD), proof="pwd"),
    "session_ended": Way(end_the_other_session),
    "session_ended_by_limit": Way(
        lambda s: signs_in(s.there), THERE, "pwd", prepare=allow_one_session
    ),
    "others_ended": Way(post(SESSIONS, others="1")),
    "sign_in_failed": of_stranger(lambda s: sign_in(s.visitor, "alice", NEW_PASSWORD)),
    "proof_failed": Way(post(REAUTHENTICATE, password=NEW_PASSWORD)),
    "proof_guessed": Way(
        post(REAUTHENTICATE, password=NEW_PASSWORD),
        prepare=both(*[post(REAUTHENTICATE, password=NEW_PASSWORD)] * 4),
    ),
    "browser_changed": Way(copy_the_cookie("basic"), THERE),
    "browser_proved": Way(
        lambda s: thief_of(s).post(REAUTHENTICATE, {"password": PASSWORD}), THERE, "pwd"
    ),
    "session_stopped": Way(copy_the_cookie("strong"), THERE),
    "password_changed": of_operator(command("changepassword", "alice")),
    "password_reset": of_stranger(
        lambda s: s.visitor.post(s.kept, {"password1": NEW_PASSWORD}),
        proof="mail",
        prepare=forget_the_password,
    ),
    "password_set": Way(
        post("/accounts/password/set/", password1=NEW_PASSWORD),
        proof="pwd mail",
        prepare=lambda _: User.objects.update(password=make_password(None)),
    ),
    "address_added": Way(post(), prepare=add_an_address, told=(address_of("alice"), SECOND, THIRD)),
    "address_removed": Way(press("remove")),
    "primary_changed": Way(press("primary")),
    "renamed": Way(post(PROFILE, username="alicia"), proof="pwd mail", user="alicia"),
    "profile_changed": Way(
        post(PROFILE, display_name="", about="", language="en", time_zone="Asia/Tokyo")
    ),
    "locked_down": Way(post(LOCKDOWN), proof="pwd mail"),
    "all_ended": of_operator(command("end_sessions", "alice")),
    "rights_changed": of_carol(carol_changes(is_active="on", is_staff="on")),
    "staff_changed": of_carol(
        carol_changes(is_active="on", is_staff="on"), user="carol", told=(address_of("carol"),)
    ),
    "switched_off": of_carol(carol_changes()),
    "switched_on": of_carol(
        carol_changes(is_active="on"), prepare=both(carol_signs_in, switch_alice_off)
    ),
    "factor_added": Way(
        lambda s: s.here.post(SETUP, {"code": second.code_of(s.kept)}),
        proof="otp",
        prepare=lambda s: second.seed_on(s.here.get(SETUP).text),
    ),
    "factor_renamed": of_authenticator(post(name="Tablet")),
    "factor_removed": of_authenticator(post(remove="1"), proof="pwd mail otp"),
    "factors_reset": of_operator(
        command("reset_second_factor", "alice"), prepare=have_an_authenticator
    ),
    "factors_recovered": of_stranger(
        lambda s: s.there.post(CHALLENGE, {"lost": "finish"}),
        proof="pwd",
        prepare=sit_out_the_waiting_period,
    ),
    "factor_failed_new": at_second_step(fail(1)),
    "factor_failed": of_stranger(fail(1), prepare=after_a_failure),
    "factor_blocked": of_stranger(fail(FACTOR_LINE.burst + 1), prepare=after_a_failure),
    "recovery_codes_made": of_authenticator(post(RECOVERY_CODES, new="1"), proof="pwd mail otp"),
    "recovery_code_used": Way(
        lambda s: s.here.post(REAUTHENTICATE, {"code": s.kept}), prepare=have_a_recovery_code
    ),
    "recovery_asked": at_second_step(say_that_all_is_lost, proof="pwd"),
    "recovery_cancelled": Way(
        post("/accounts/recovery/", former=PASSWORD), prepare=ask_for_the_removal
    ),
    "suspended": Way(post(LOCKDOWN), proof="pwd mail", prepare=add_a_young_address),
    "put_back": Way(
        review("keep"),
        proof="pwd mail",
        prepare=suspend_it,
        told=(address_of("alice"), SECOND, THIRD),
    ),
    "suspended_deleted": Way(review("delete"), proof="pwd mail", prepare=suspend_it),
    "reviewed": Way(post("/accounts/review/", done="1"), proof="pwd mail"),
    "passkey_added": Way(add_a_passkey, proof="passkey"),
    "passkey_renamed": of_passkey(post(name="Laptop")),
    "passkey_removed": of_passkey(post(remove="1"), proof="pwd mail passkey"),
    "passkey_suspect": of_stranger(
        show_it_there(LOGIN, webauthn.LOGIN_PASSKEY), prepare=have_a_copy
    ),
    "browser_trusted": Way(trust_a_browser, THERE, prepare=wait_for_a_passkey),
    "trust_ended": Way(
        post("/accounts/2fa/trusted/", all="1"), prepare=both(wait_for_a_passkey, trust_a_browser)
    ),
    "client_signed_in": Way(have_a_token, THERE, "pwd", prepare=have_a_token),
    "client_signed_in_new": Way(have_a_token, THERE, "pwd"),
    "client_signed_out": Way(
        lambda s: call("token/revoke/", {"token": s.kept}, client=s.visitor),
        THERE,
        prepare=have_a_token,
    ),
    "token_reused": Way(lambda s: renew(s.kept, s.visitor), THERE, prepare=have_renewed_twice),
    "key_made": Way(post(keys.NEW, **keys.FORM)),
    "key_ended": Way(
        lambda s: s.here.post(keys.KEYS, {"end": APIKey.objects.get().pk}),
        prepare=post(keys.NEW, **keys.FORM),
    ),
    "token_exchanged": Way(lambda s: exchange(s.kept, iphone()), THERE, prepare=have_access),
    "profile_read": of_carol(
        lambda s: call(f"users/{s.alice.pk}/", token=s.kept, client=iphone()),
        prepare=let_carol_read,
    ),
    "key_expires": Way(command("prune"), NOWHERE, in_session=False, prepare=wait_for_the_last_week),
    "provider_connected": Way(connect, proof="pwd mail", prepare=come_with_an_identity),
    "provider_disconnected": Way(
        lambda s: s.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk}),
        proof="pwd mail",
        prepare=both(come_with_an_identity, connect),
    ),
}


@pytest.fixture
def scene(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Scene:
    monkeypatch.setattr("getpass.getpass", lambda **_: NEW_PASSWORD)
    scene = Scene(settings, clock)
    sign_up(scene.here, "alice")
    assert confirm(scene.here, "alice").url == "/"
    users.confirm_address(scene.alice, SECOND)
    # Hers for as long as the account, so that no lockdown doubts it.
    scene.alice.addresses.update(confirmed_at=scene.alice.date_joined)
    sign_in(scene.there, "alice")
    sent().clear()
    return scene


class Broken(Exception):
    """The row can't be written."""


def everything() -> str:
    """What the database holds of people, their sessions, their codes and their mails."""
    models = (User, Username, Address, PendingAddress, LoginSession, BrowserSession, OutgoingMail)
    models += (
        Authenticator,
        RecoveryCodes,
        Recovery,
        FormerCredential,
        APIKey,
        Identity,
        KnownBrowser,
    )
    rows = [row for model in models for row in model.objects.order_by("pk")]
    # A state that came back is spent, whatever comes of it.
    kept = Code.objects.exclude(purpose="provider.state").order_by("pk")
    codes = list(kept.values_list("pk", flat=True))
    return f"{serializers.serialize('json', rows, indent=0)}\n{codes}"


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_writes_its_row_or_changes_nothing_and_the_owner_is_told(
    scene: Scene, clock: Clock, kind: str
) -> None:
    way = WAYS[kind]
    scene.kept = way.prepare(scene)
    mails = len(sent())
    assert_nothing_changes_without_a_row(scene, way)
    clock.advance(minutes=5)

    way.act(scene)

    row = Activity.objects.get(kind=kind, at=clock.now())
    assert row.user
    assert row.user.username == way.user
    assert (row.address, f"{row.browser} on {row.system}".strip(" on")) == way.place
    assert (row.proof, row.actor) == (way.proof, way.actor)
    owner = LoginSession.objects.filter(pk=row.session).values_list("user__username", flat=True)
    assert list(owner) == ([way.actor or way.user] if way.in_session else [])
    # What tells every address of a removal to come has a link to cancel it, and is no notice.
    notices = [mail for mail in sent()[mails:] if "/accounts/2fa/recovery/" not in mail.body]
    notices = [notice for notice in notices if str(EVENTS[kind].sentence)[:-1] in notice.subject]
    addresses = (address_of("alice"), SECOND) if EVENTS[kind].group is Group.CHANGE else ()
    told = (way.told or addresses or (address_of("alice"),)) * EVENTS[kind].mail
    assert sorted(notice.to for notice in notices) == [[to] for to in told]
    links = [link for notice in notices for link in links_of(notice, way, EVENTS[kind], clock)]
    if links:
        assert Client().post(links[0]).status_code == 200
        assert not User.objects.get(username=way.user).has_usable_password()


def assert_nothing_changes_without_a_row(scene: Scene, way: Way) -> None:
    def fail(row: Activity, **_options: object) -> None:
        raise Broken

    before, jars = everything(), [dict(b.cookies) for b in (scene.here, scene.there)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Activity, "save", fail)
        with pytest.raises(Broken):
            way.act(scene)
    assert everything() == before
    Budget.objects.all().delete()
    for browser, cookies in zip((scene.here, scene.there), jars, strict=True):
        browser.cookies.update(cookies)


def links_of(notice: EmailMessage, way: Way, event: Event, clock: Clock) -> list[str]:
    """The links to lock your account in a notice that says what there is to say."""
    text = str(notice.body)
    assert str(event.sentence).rstrip(".") in notice.subject
    assert f"When: {date_format(clock.now(), 'DATETIME_FORMAT')} UTC" in text
    has_place = not way.actor and way.place != NOWHERE
    assert ("Safari on iPhone" in text or "Firefox on Linux" in text) is has_place
    assert ("By: whoever runs authsite" in text) is bool(way.actor)
    assert ("Address: " in text) is has_place
    assert ("If this wasn't you" in text) is (has_place and event is not LOCKED_DOWN)
    links = links_in(text, LOCKDOWN)
    assert len(links) == (event is not LOCKED_DOWN)
    for link in links:
        assert str(event.sentence) in Client().get(link).text
    return links


def knowing(browser: Client, scene: Scene) -> Client:
    """``browser``, with the cookie of the one ``here``."""
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser


WINDOWS = LINUX.format(142).replace("X11; Linux", "Windows")


@pytest.mark.parametrize(
    "browser, told",
    [
        (lambda scene: knowing(firefox(143), scene), False),
        (lambda _scene: firefox(), True),
        (lambda scene: knowing(Client(headers={"user-agent": WINDOWS}), scene), True),
    ],
    ids=["newer version", "same kind without cookies", "copied cookie"],
)
def test_the_owner_hears_of_a_sign_in_from_a_browser_that_is_not_known(
    scene: Scene, browser: Callable[[Scene], Client], told: bool
) -> None:
    visitor = browser(scene)

    for what in ("it comes", "it's known from now on"):
        signs_in(visitor)
        subjects = [mail.subject for mail in sent()]
        assert subjects == told * ["authsite: Signed in from a new browser"], what


def test_a_browser_that_one_person_has_used_is_new_to_another(scene: Scene) -> None:
    make_user("bob")  # by hand: who signs up has only that browser, and hears of nothing
    for number, browser in enumerate((firefox(), knowing(firefox(), scene)), 1):
        sign_in(browser, "bob")
        assert [mail.to for mail in sent()] == [[address_of("bob")]] * number


def test_the_right_password_of_an_account_that_is_switched_off_is_a_failed_sign_in(
    scene: Scene,
) -> None:
    User.objects.update(is_active=False)

    sign_in(iphone(), "alice")

    assert Activity.objects.latest("id").kind == "sign_in_failed"


@pytest.mark.django_db
def test_prune_deletes_what_is_older_than_activity_days_and_nobodys_sooner(clock: Clock) -> None:
    alice = make_user("alice")
    record(alice, SIGNED_IN, Source())
    record(None, SIGNED_IN, Source())

    def kept_after(**interval: float) -> list[str]:
        clock.advance(**interval)
        call_command("prune", verbosity=0)
        return [str(row.user) for row in Activity.objects.order_by("id")]

    assert kept_after(seconds=NOBODYS_LIFE.total_seconds() - 1) == ["alice", "None"]
    assert kept_after(seconds=1) == ["alice"]
    assert kept_after(days=365 - 30, seconds=-1) == ["alice"]
    assert kept_after(seconds=1) == []
    assert timedelta(days=30) == NOBODYS_LIFE
