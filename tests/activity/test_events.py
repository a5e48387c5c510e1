"""Every kind of event: what brings it about, what its row says, and who is told by mail."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import serializers
from django.core.management import call_command
from django.test import Client
from django.utils.formats import date_format

from accounts.activity.events import EVENTS, LOCKED_DOWN, SIGNED_IN
from accounts.activity.models import Activity
from accounts.activity.services import NOBODYS_LIFE, Source, record
from accounts.addresses.models import PendingAddress
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.identities.models import Identity
from accounts.mail.models import OutgoingMail
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.twofactor.models import Authenticator, FactorRecovery, RecoveryCodes
from accounts.users.models import Address, User, Username
from tests.activity import steps
from tests.activity.clients import CLIENT_WAYS
from tests.activity.factors import FACTOR_WAYS
from tests.activity.keys import KEY_WAYS
from tests.activity.passkeys import PASSKEY_WAYS
from tests.activity.social import SOCIAL_WAYS
from tests.activity.steps import LINUX, LOCKDOWN, Scene, firefox, iphone, sent
from tests.conftest import Clock
from tests.support.api import call, renew
from tests.support.steps import PASSWORD, address_of, make_user, sign_in

WAYS = steps.WAYS | FACTOR_WAYS | PASSKEY_WAYS | CLIENT_WAYS | KEY_WAYS | SOCIAL_WAYS
each_kind = pytest.mark.parametrize("kind", WAYS)


def test_every_kind_of_event_has_a_way_to_bring_it_about() -> None:
    assert WAYS.keys() == EVENTS.keys()


@each_kind
def test_a_row_says_who_when_where_and_by_which_proof(
    scene: Scene, clock: Clock, kind: str
) -> None:
    way = WAYS[kind]
    way.prepare(scene)
    clock.advance(minutes=5)

    way.act(scene)

    row = Activity.objects.get(kind=kind, at=clock.now())
    assert row.user
    assert row.user.username == way.user
    assert (row.address, f"{row.browser} on {row.system}".strip(" on")) == way.place
    assert (row.proof, row.actor) == (way.proof, way.actor)
    owner = LoginSession.objects.filter(pk=row.session).values_list("user__username", flat=True)
    assert list(owner) == ([way.actor or way.user] if way.in_session else [])


@each_kind
def test_the_owner_is_told_at_the_addresses_concerned_or_not_at_all(
    scene: Scene, clock: Clock, kind: str
) -> None:
    way, event = WAYS[kind], EVENTS[kind]
    way.prepare(scene)
    before = len(sent())
    clock.advance(minutes=5)

    way.act(scene)

    # What tells every address of a removal to come has a link to cancel it, and is no notice.
    notices = [mail for mail in sent()[before:] if "/accounts/2fa/recovery/" not in mail.body]
    assert sorted(notice.to for notice in notices) == [[to] for to in way.told * event.mail]
    for notice in notices:
        text = str(notice.body)
        assert str(event.sentence).rstrip(".") in notice.subject
        assert f"When: {date_format(clock.now(), 'DATETIME_FORMAT')} UTC" in text
        has_place = not way.actor and way.place != steps.NOWHERE
        assert ("Safari on iPhone" in text or "Firefox on Linux" in text) is has_place
        assert ("By: whoever runs authsite" in text) is bool(way.actor)
        assert ("Address: " in text) is has_place
        assert ("If this wasn't you" in text) is (has_place and event is not LOCKED_DOWN)
        links = re.findall(rf"(?m)^https?://[^/]+({LOCKDOWN}[\w-]+/)$", text)
        assert len(links) == (event is not LOCKED_DOWN)
        for link in links:
            assert str(event.sentence) in Client().get(link).text
    if notices and links:
        assert Client().post(links[0]).status_code == 200
        assert not scene.alice.has_usable_password()


class Broken(Exception):
    """The row can't be written."""


def everything() -> str:
    """What the database holds of people, their sessions, their codes and their mails."""
    models = (User, Username, Address, PendingAddress, LoginSession, BrowserSession, OutgoingMail)
    models += (Authenticator, RecoveryCodes, FactorRecovery, APIKey, Identity)
    rows = [row for model in models for row in model.objects.order_by("pk")]
    # A state that came back is spent, whatever comes of it.
    kept = Code.objects.exclude(purpose="provider.state").order_by("pk")
    codes = list(kept.values_list("pk", flat=True))
    return f"{serializers.serialize('json', rows, indent=0)}\n{codes}"


@each_kind
def test_a_change_without_its_row_is_no_change(scene: Scene, clock: Clock, kind: str) -> None:
    def fail(row: Activity, **_options: object) -> None:
        raise Broken

    WAYS[kind].prepare(scene)
    sent()
    before = everything()
    scene.monkeypatch.setattr(Activity, "save", fail)

    with pytest.raises(Broken):
        WAYS[kind].act(scene)

    assert everything() == before


def same_browser(scene: Scene) -> Client:
    scene.here.cookies.pop("sessionid")
    return scene.here


def newer_version(scene: Scene) -> Client:
    browser = firefox(143)
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser


def known_cookie_on_another_system(scene: Scene) -> Client:
    browser = Client(headers={"user-agent": LINUX.format(142).replace("X11; Linux", "Windows")})
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser


@pytest.mark.parametrize(
    "browser, told",
    [
        (same_browser, False),
        (newer_version, False),
        (lambda _scene: iphone(), True),
        (lambda _scene: firefox(), True),
        (known_cookie_on_another_system, True),
    ],
    ids=["same", "newer version", "another", "same kind without cookies", "copied cookie"],
)
def test_the_owner_hears_of_a_sign_in_from_a_browser_that_is_not_known(
    scene: Scene, browser: Callable[[Scene], Client], told: bool
) -> None:
    visitor = browser(scene)

    sign_in(visitor, "alice")
    assert [mail.subject for mail in sent()] == told * ["authsite: Signed in from a new browser"]
    visitor.cookies.pop("sessionid")
    sign_in(visitor, "alice")
    assert len(sent()) == told, "it's known from now on"


def test_a_browser_that_one_person_has_used_is_new_to_another(scene: Scene) -> None:
    make_user("bob")  # by hand: who signs up has only that browser, and hears of nothing
    sign_in(firefox(), "bob")
    assert [mail.to for mail in sent()] == [[address_of("bob")]]

    sign_in(same_browser(scene), "bob")

    assert [mail.to for mail in sent()] == [[address_of("bob")]] * 2


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


@pytest.mark.django_db
def test_the_mails_about_a_program_say_what_happened_and_call_it_no_browser(clock: Clock) -> None:
    make_user("alice")
    program = Client(headers={"user-agent": "python-httpx/0.28"}, REMOTE_ADDR="192.0.2.9")
    first = call("token/", {"username": "alice", "password": PASSWORD}, client=program)["refresh"]
    for token in (renew(first, program)["refresh"], first):
        renew(token, program)

    new, reused = sent()

    assert new.subject == "authsite: A program signed in over the API, from a new place"
    assert reused.subject.startswith("authsite: A refresh token was used twice, so somebody may")
    assert "Its sign-in was ended." in str(reused.body)
    for mail in (new, reused):
        assert "Device: Unknown program\n\nAddress: 192.0.2.9\n" in str(mail.body)
        assert "If this wasn't you, lock the account down:" in str(mail.body)
