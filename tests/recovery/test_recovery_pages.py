"""The pages of recovery: what they say, and to whom."""

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.notices import Notice
from accounts.common.database import PreparedQuery
from accounts.common.proofs import Method, Proof
from accounts.recovery import locks
from accounts.recovery import services as recovery
from accounts.twofactor.models import RecoveryCodes
from accounts.users import services as users
from tests.support.disputes import MINE, REVIEW, THIEFS, alice, lock, lock_link, opens, reset_link
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, make_user, sign_in
from tests.support.webauthn import registered

NAMES = (
    *("Authenticator app “Phone”", "Passkey “Phone”", "A recovery code"),
    *("The password that you had on", "a…@example.org"),
)


@pytest.fixture(autouse=True)
def old_account(clock):
    make_user("alice")
    enrolled(alice())
    clock.advance(days=60)


def test_the_page_names_what_counts_only_to_whoever_has_shown_some_of_it():
    RecoveryCodes.objects.create(user=alice(), made_at=alice().date_joined)
    registered(alice())
    alice().passkey_set.update(made_at=alice().date_joined)
    users.confirm_email(alice(), THIEFS)
    lock(alice())

    theirs, mine = (Client().get(reset_link(to=to)).text for to in (THIEFS, MINE))

    assert [name in theirs for name in ("0 of 2 shown", *NAMES)] == [True, *[False] * 5]
    assert [name in mine for name in ("1 of 2 shown", *NAMES)] == [True] * 6
    assert "Start the 3-day wait" in mine


def test_an_opening_that_would_be_undone_needs_one_thing_more(clock):
    signed_in(alice())
    clock.advance(days=1)
    lock(alice())
    locks.Recovery.objects.create(user=alice(), opened_at=alice().locked_at, opened_with=2)

    assert "1 of 3 shown" in Client().get(reset_link()).text


def test_the_page_says_why_enough_things_do_not_open_the_account(clock):
    clock.advance(days=1)
    lock(alice())
    row = locks.Recovery.objects.create(
        user=alice(), opened_at=alice().locked_at, opened_with=3, support_asked_at=clock.now()
    )
    owner, link = Client(), reset_link()
    owner.post(link, {"former": PASSWORD})
    assert "Someone has already shown" not in owner.get(link).text
    owner.post(link, {"code": unused_code(alice())})
    said = owner.get(link).text
    assert "3 of 3 shown" in said
    assert "Someone has already shown at least as much as you" in said

    others = recovery.assess(alice(), Proof.now(Method.PASSWORD), Proof.now(Method.MAIL, MINE))
    row.opened_at, row.at_support = None, [[[each.kind, each.key] for each in others.shown]]
    row.save()
    owner, link = Client(), reset_link()
    owner.post(link, {"code": unused_code(alice())})
    assert "Someone has already shown at least as much as you" in owner.get(link).text


def test_the_sign_in_after_the_reset_of_a_locked_account_fills_in_the_username_once(clock):
    alice().authenticator_set.all().delete()
    clock.advance(days=8)
    lock(alice())
    browser = Client()
    assert opens(browser, reset_link())

    first, second = browser.get(LOGIN).text, browser.get(LOGIN).text

    assert ['value="alice"' in page for page in (first, second)] == [True, False]


def test_there_is_no_review_without_a_lock():
    assert signed_in(alice()).get(REVIEW).status_code == 404


def test_a_thief_cannot_push_the_first_wrong_change_off_the_list(monkeypatch):
    monkeypatch.setattr(locks, "MOST_CHANGES", 2)
    # The one that is in use is prepared for more changes.
    monkeypatch.setattr(locks, "CHANGES", PreparedQuery(locks.changes))
    for kind in ("signed_in", "address_added", "password_changed", "passkey_added"):
        Activity.objects.create(user=alice(), kind=kind, ip="192.0.2.1")
    Activity.objects.create(user=alice(), kind="key_expires")

    kinds = [row.kind for row in locks.first_changes(alice())]

    assert kinds == ["password_changed", "address_added"]


def test_the_event_of_a_link_is_named_once_unless_it_only_asks_for_the_link():
    kinds = ("password_changed", "signed_in", "lock_asked", "address_added")
    rows = [Activity.objects.create(user=alice(), kind=kind, ip="192.0.2.1") for kind in kinds]
    changed, signed, asked, added = rows
    for row, named in ((asked, []), (added, []), (signed, [signed])):
        found = locks.first_changes(alice(), Notice(row, alice(), MINE, ""))
        assert found == [added, *named, changed]


def test_the_page_of_a_lock_link_offers_its_event_first_and_names_no_address():
    users.confirm_email(alice(), THIEFS)
    signed_in(alice()).post("/accounts/email/", {"remove": alice().emails.get(email=THIEFS).pk})
    sign_in(Client(HTTP_USER_AGENT="Another/1.0"), "alice")

    page = Client().get(lock_link("email address was removed")).text

    removed = Activity.objects.get(kind="address_removed")
    assert f'value="{removed.pk}" checked' in page
    assert THIEFS not in page


@pytest.mark.parametrize(
    "seconds, change, is_accepted",
    [
        *((59, None, True), (60, None, False), (0, {"is_active": False}, False)),
        (0, {"password": "!", "locked_at": None}, False),
    ],
)
def test_a_proof_at_the_sign_in_opens_the_recovery_for_a_minute(
    clock, seconds, change, is_accepted
):
    lock(alice())
    browser = Client()
    started = sign_in(browser, "alice").url
    clock.advance(seconds=seconds)
    type(alice()).objects.update(**change or {"language": "en"})

    assert (browser.get(started).url != LOGIN) is is_accepted
    assert browser.get(started).url == LOGIN, "it opens once"
