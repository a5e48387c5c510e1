"""Events, and the emails about them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from accounts.activity import events
from accounts.activity.events import (
    ADDRESS_ADDED,
    DELETION_REQUESTED,
    EVENTS,
    LOCK_LIFTED,
    LOCKED_DOWN,
    SIGNED_IN,
    Group,
)
from accounts.activity.models import Activity, ActivityQuerySet
from accounts.activity.notices import combine_mails, end_links
from accounts.activity.services import NOBODYS_LIFE, Actor, record
from accounts.codes.models import Code
from accounts.common import localization
from accounts.common.client_info import ClientInfo
from accounts.common.database import PreparedInsert
from accounts.mail.services import deliver_due
from accounts.sessions.models import LoginSession
from accounts.throttle.models import StoredBudget
from accounts.twofactor.models import RecoveryCodes, sealed_codes
from accounts.users import services as users
from accounts.users.models import User
from tests.support.erasure import CONSTANT, all_rows, erase, traces
from tests.support.events import (
    CASES,
    LINUX,
    LOCKDOWN,
    NEW_PASSWORD,
    NOWHERE,
    SECOND,
    Scene,
    firefox,
    links_in,
    sent,
    sign_in_alice,
    with_known_cookie,
)
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.standards import proves
from tests.support.steps import address_of, confirm, make_user, outbox, path_of, sign_in, sign_up


@pytest.fixture
def scene(db, settings, monkeypatch, clock):
    monkeypatch.setattr("getpass.getpass", lambda **_: NEW_PASSWORD)
    scene = Scene(settings, clock)
    sign_up(scene.here, "alice")
    assert confirm(scene.here, "alice").url == "/"
    users.confirm_email(scene.alice, SECOND)
    # As old as the account, so that a lockdown does not suspend it.
    scene.alice.emails.update(confirmed_at=scene.alice.date_joined)
    sign_in(scene.there, "alice")
    sent().clear()
    return scene


class Broken(Exception):
    """The activity row cannot be written."""


# What an act uses or prepares before its transaction, so that a failed act leaves it.
APART = {
    *("AuthorizationRequest", "Code", "ImportedFile", "Passkey", "SigningKey", "StoredBudget"),
    "UsedOnce",
}


def everything():
    """Return all other rows, and the ids of codes, to compare them."""
    # The state of an authorization request is spent by any callback.
    kept = Code.objects.exclude(purpose="provider.state").order_by("pk")
    return all_rows(APART | CONSTANT), list(kept.values_list("pk", flat=True))


# The one about an erased person belongs to nobody: tests/webhooks/test_webhooks.py.
@proves("63B-4.6")
@pytest.mark.long
@pytest.mark.parametrize("kind", [kind for kind in EVENTS if kind != "erased"])
def test_every_event_commits_with_its_row_is_mailed_and_leaves_no_trace(scene, clock, kind):
    """Withstands a thief in the account: only the thief's mailbox is told."""
    case, alice = CASES[kind], scene.alice
    scene.prepared = case.prepare(scene)
    mails = len(sent())
    assert_nothing_changes_without_a_row(scene, case)
    clock.advance(minutes=5)

    case.act(scene)

    row = Activity.objects.get(kind=kind, at=clock.now())
    assert row.user
    assert row.user.username == case.user
    assert (row.ip, f"{row.browser} on {row.system}".strip(" on")) == case.place
    assert (row.proof, row.actor) == (case.proof, case.actor)
    owner = LoginSession.objects.filter(pk=row.session).values_list("user__username", flat=True)
    assert list(owner) == ([case.actor or case.user] if case.in_session else [])
    # The mail about a requested removal has a link that stops it. It is no notice of an event.
    notices = [mail for mail in sent()[mails:] if "/accounts/2fa/recovery/" not in mail.body]
    notices = [notice for notice in notices if EVENTS[kind].subject in notice.subject]
    addresses = (address_of("alice"), SECOND) if EVENTS[kind].group is Group.CHANGE else ()
    told = (case.notified or addresses or (address_of("alice"),)) * bool(EVENTS[kind].mail)
    assert sorted(notice.to for notice in notices) == [[to] for to in told]
    links = [link for notice in notices for link in links_of(notice, case, EVENTS[kind], clock)]
    if links:
        assert Client().post(links[0]).status_code == 200
        assert not User.objects.get(username=case.user).has_usable_password()
    assert erase(alice)
    assert traces("alice", "alicia") == []


def assert_nothing_changes_without_a_row(scene, case):
    insert = PreparedInsert.run

    def fail(statement, row):
        if isinstance(row, Activity):
            raise Broken
        insert(statement, row)

    before, jars = everything(), [dict(b.cookies) for b in (scene.here, scene.there)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedInsert, "run", fail)
        patch.setattr(
            ActivityQuerySet, "bulk_create", lambda rows, new, **_: fail(rows, *list(new)[:1])
        )
        begun = transaction.savepoint_create()
        with pytest.raises(Broken):
            case.act(scene)
        # The act has no savepoint of its own: outside tests, it is a transaction.
        if connection.needs_rollback:
            transaction.set_rollback(False)
            transaction.savepoint_rollback(begun)
    assert everything() == before
    StoredBudget.objects.all().delete()
    for browser, cookies in zip((scene.here, scene.there), jars, strict=True):
        browser.cookies.update(cookies)


def links_of(notice, case, event, clock):
    """Check the text of a notice, and return its links that lock the account."""
    text = str(notice.body)
    facts = dict(re.findall(r"(?m)^  (\w[\w ]*): +(.+)$", text))
    if event.says_more:
        assert str(event.sentence).partition(".")[0] in re.sub(r"\s+", " ", text)
    assert facts["When"] == localization.in_full(clock.now())
    has_place = not case.actor and case.place != NOWHERE
    assert (facts.get("Device") in {"Safari on iPhone", "Firefox on Linux"}) is has_place
    assert ("Done by" in facts) is bool(case.actor)
    assert ("IP address" in facts) is has_place
    assert ("NOT YOU?" in text) is (has_place and event is not LOCKED_DOWN)
    links = links_in(text, LOCKDOWN)
    assert len(links) == (event not in {LOCKED_DOWN, LOCK_LIFTED, DELETION_REQUESTED})
    for link in links:
        assert str(event.sentence) in Client().get(link).text
    return links


WINDOWS = LINUX.format(142).replace("X11; Linux", "Windows")


@pytest.mark.parametrize(
    "browser, told",
    [
        (lambda scene: with_known_cookie(firefox(143), scene), False),
        (lambda _scene: firefox(), True),
        (lambda scene: with_known_cookie(Client(headers={"user-agent": WINDOWS}), scene), True),
    ],
    ids=["newer version", "same kind without cookies", "copied cookie"],
)
def test_the_owner_is_mailed_about_a_sign_in_from_an_unknown_browser(scene, browser, told):
    visitor = browser(scene)

    for what in ("first sign-in", "second sign-in"):
        sign_in_alice(visitor)
        subjects = [mail.subject for mail in sent()]
        assert subjects == told * ["Sign-in from a new browser"], what


def test_an_overlong_detail_is_truncated():
    row = record(make_user("alice"), ADDRESS_ADDED, Actor(), detail="a" * 101)
    assert row.detail == "a" * 100


def test_prune_deletes_rows_after_activity_days_and_rows_of_no_user_sooner(clock):
    alice = make_user("alice")
    record(alice, SIGNED_IN, Actor())
    record(None, SIGNED_IN, Actor())

    def kept_after(**interval):
        clock.advance(**interval)
        call_command("prune", verbosity=0)
        return [str(row.user) for row in Activity.objects.order_by("id")]

    assert kept_after(seconds=NOBODYS_LIFE.total_seconds() - 1) == ["alice", "None"]
    assert kept_after(seconds=1) == ["alice"]
    assert kept_after(days=365 - 30, seconds=-1) == ["alice"]
    assert kept_after(seconds=1) == []
    assert timedelta(days=30) == NOBODYS_LIFE


HERE = Actor(ClientInfo("192.0.2.1", "Firefox"))


def test_a_sign_in_with_a_recovery_code_that_trusts_the_browser_sends_one_email(alice):
    enrolled(alice)
    codes = ["abcdefghijkmn", "opqrstuvwxyz2"]
    RecoveryCodes.objects.create(user=alice, sealed=sealed_codes(codes, "salt"))
    browser = Client()
    sign_in(browser, "alice")

    browser.post(CHALLENGE, {"code": codes[0], "trust": "on"})

    (mail,) = outbox()
    assert mail.subject == (
        "A recovery code was used · Sign-in from a new browser · A browser is now trusted"
    )
    assert ["Recovery codes left", "1"] in mail.facts
    assert Client().post(path_of(mail.action_url)).status_code == 200
    assert User.objects.get().is_locked_down


def test_a_notice_is_in_the_language_and_time_zone_of_its_recipient(clock):
    clock.set(datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    bruno = make_user("bruno", language="de", time_zone="Europe/Berlin")

    record(bruno, events.PASSWORD_CHANGED, HERE)

    (mail,) = outbox()
    assert mail.subject == "Dein Passwort wurde geändert"
    assert ["Wann", "Donnerstag, 2. Juli 2026, 00:30 (Berlin)"] in mail.facts


def test_an_event_that_is_rolled_back_is_not_told(alice):
    """Withstands a failure."""
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        with transaction.atomic():
            record(alice, events.PASSWORD_CHANGED, HERE)
            transaction.set_rollback(True)
        record(alice, events.KEY_MADE, HERE)

    subjects = sorted(mail.subject for mail in outbox())
    assert subjects == ["A passkey was added", "An API key was created"]


def test_an_event_after_the_email_was_sent_is_told_in_another(alice):
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        deliver_due()
        record(alice, events.KEY_MADE, HERE)

    assert [mail.subject for mail in outbox()] == ["An API key was created"]


def test_events_of_two_requests_are_told_in_two_emails(alice):
    for event in (events.PASSKEY_ADDED, events.KEY_MADE):
        with combine_mails():
            record(alice, event, HERE)

    assert [mail.subject for mail in outbox()] == ["A passkey was added", "An API key was created"]


def test_a_link_that_was_ended_within_the_act_is_not_sent_again(alice):
    """Otherwise the owner would get a button that does nothing."""
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        end_links(alice, [alice.email])
        record(alice, events.KEY_MADE, HERE)

    assert Client().get(path_of(outbox()[-1].action_url)).status_code == 200
