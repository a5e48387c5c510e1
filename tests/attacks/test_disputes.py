"""Locked accounts: what a lock suspends, and which proofs open the account again.

``tests/users/test_disputes.py`` tests the rule itself; these tests act as thieves and owners.
"""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.recovery.locks import lock_down
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential, User
from tests.support.clock import Clock
from tests.support.disputes import (
    MINE,
    NEW,
    REVIEW,
    known_browser,
    lock,
    lock_link,
    recipients_of,
    reloaded,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    code_of,
    enrolled,
    recovery_codes_on,
    seed_on,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, outbox, sign_in

pytestmark = pytest.mark.django_db

SETUP = "/accounts/2fa/totp/setup/"


def test_a_lock_suspends_the_factors_that_a_copied_cookie_added(alice: User, clock: Clock) -> None:
    """The thief adds an app and makes recovery codes; the owner still has her own app."""
    seed, home = enrolled(alice), known_browser(alice)
    clock.advance(days=8)
    thief = signed_in(alice)
    stolen = seed_on(thief.get(SETUP).text)
    assert thief.post(SETUP, {"code": code_of(stolen), "name": "Mallory’s"}).status_code == 302
    codes = recovery_codes_on(thief.get(RECOVERY_CODES).text)

    home.post(lock_link("authenticator app was added"))

    assert not is_signed_in(thief)
    assert [row.name for row in Authenticator.objects.all()] == ["Phone"]
    assert not RecoveryCodes.objects.exists()
    link = reset_link()
    clock.advance(minutes=1)
    for code in (code_of(stolen), codes[0]):
        Client().post(link, {"code": code})
        assert not sets_password(Client(), link)
    home.post(link, {"code": code_of(seed)})
    assert sets_password(home, link)
    assert set(recipients_of("password was reset")) == {MINE}
    sign_in(home, "alice", NEW)
    assert home.post(CHALLENGE, {"code": code_of(stolen, 1)}).status_code == 200
    home.post(CHALLENGE, {"code": unused_code(alice)})

    assert "Mallory’s" in home.get(REVIEW).text
    home.post(REVIEW, {"done": "1"})
    assert reloaded(alice).disputed_at, "each suspended credential must be decided"
    for label in ("Mallory’s", "Recovery codes"):
        review(home, "delete", label)
    assert home.post(REVIEW, {"done": "1"}).url == "/"
    assert Authenticator.objects.count() == 1
    assert not FormerCredential.objects.filter(is_suspended=True).exists()


def test_a_factor_that_the_thief_added_is_not_required_to_recover(
    alice: User, clock: Clock
) -> None:
    """The owner has no factor. Because of the suspended one, two older proofs must wait."""
    home = known_browser(alice)
    clock.advance(days=8)
    set_up_authenticator(signed_in(alice), name="Mallory’s")
    lock(alice)

    link = reset_link()
    assert not sets_password(home, link)
    assert 'value="ask"' in home.get(link).text
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    assert sign_in(home, "alice", NEW).url == "/"


@pytest.mark.parametrize("changed", [False, True], ids=["kept", "replaced by the thief"])
def test_two_older_proofs_open_an_account_without_a_factor_at_once(
    alice: User, clock: Clock, changed: bool
) -> None:
    """The password from before the lock counts, even if the thief has changed it."""
    if changed:
        signed_in(alice).post("/accounts/password/change/", {"password1": "thiefs own password 7"})
    lock(alice)
    browser, link = Client(), reset_link()

    assert not sets_password(browser, link), "the mailbox alone is not enough"
    for wrong in ("", "x", NEW, "thiefs own password 7"):
        browser.post(link, {"former": wrong})
        assert not sets_password(browser, link)
    browser.post(link, {"former": PASSWORD})
    assert not sets_password(Client(), link), "a proof counts only in the browser that gave it"
    assert sets_password(browser, link)


def test_a_former_email_can_lock_but_not_open_an_account_and_learns_no_new_email(
    alice: User, clock: Clock
) -> None:
    """The owner recovers the account with her password and her browser."""
    home, new = known_browser(alice), "new@example.net"
    clock.advance(days=8)
    browser = signed_in(alice)
    users.confirm_email(reloaded(alice), new)
    browser = signed_in(reloaded(alice))
    row = EmailAddress.objects.get(email=new)
    browser.post("/accounts/email/", {"primary": row.pk})
    browser = signed_in(reloaded(alice))
    browser.post("/accounts/email/", {"remove": EmailAddress.objects.get(email=MINE).pk})
    assert not any(new in text_of(m) for m in outbox() if m.to == MINE)

    former, link = Client(), lock_link("email address was removed")
    assert new not in former.get(link).text
    assert new not in former.post(link).text
    assert User.objects.get().is_locked_down
    assert not sets_password(former, reset_link(to=MINE))
    assert 'value="ask"' not in former.get(reset_link(to=MINE)).text
    assert former.post(reset_link(to=MINE), {"lost": "ask"}).status_code == 403
    assert former.post(link).status_code == 404, "a lock link works once"

    link = reset_link(to=new)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link), "a suspended email gets the link but is no proof"
    sign_in(home, "alice", NEW)
    assert reloaded(alice).email == ""
    review(home, "keep", new)
    assert reloaded(alice).email == new


def test_the_password_from_before_the_lock_leads_to_recovery_without_a_mailbox(
    alice: User, clock: Clock
) -> None:
    """The thief has the mailbox. The password alone starts no waiting period."""
    seed = enrolled(alice)
    clock.advance(days=8)
    lock(alice)

    browser = Client()
    started = sign_in(browser, "alice")
    assert started.url == "/accounts/password/locked/"
    link = browser.get(started.url).url
    assert Client().get(started.url).url == LOGIN
    assert browser.post(link, {"lost": "ask"}).status_code == 403
    assert not sets_password(browser, link)
    browser.post(link, {"code": code_of(seed)})
    assert sets_password(browser, link)
    assert sign_in(Client(), "alice", PASSWORD).status_code == 200, (
        "the former password no longer works"
    )


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_removed_factor_counts_only_if_it_was_removed_in_a_session_that_used_it(
    alice: User, clock: Clock, by_itself: bool
) -> None:
    """A factor that was removed with a recovery code was lost, so its finder must gain nothing."""
    seed = enrolled(alice)
    clock.advance(days=8)
    home = signed_in(alice)
    home.post("/accounts/reauthenticate/", {"code": code_of(seed)})
    if not by_itself:
        code = recovery_codes_on_new_set(home)
        home.post("/accounts/logout/")
        home = Client()
        sign_in(home, "alice")
        home.post(CHALLENGE, {"code": code})
    row = Authenticator.objects.get()
    assert home.post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code == 302
    lock_down(reloaded(alice), Actor())
    browser, link = Client(), reset_link()
    clock.advance(minutes=5)

    browser.post(link, {"code": code_of(seed)})

    assert sets_password(browser, link) is by_itself


def recovery_codes_on_new_set(browser: Client) -> str:
    browser.post(RECOVERY_CODES, {"new": "1"})
    return recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]


@pytest.mark.parametrize("says_so", [True, False])
def test_a_reset_removes_lost_factors_only_if_the_owner_asks_for_it(
    alice: User, clock: Clock, says_so: bool
) -> None:
    home = known_browser(alice)
    enrolled(alice)
    clock.advance(days=8)
    lock(alice)
    link = reset_link()
    home.post(link, {"former": PASSWORD})

    assert sets_password(home, link, **({"lost": "on"} if says_so else {}))

    assert Authenticator.objects.exists() is not says_so
    assert sign_in(home, "alice", NEW).url == ("/" if says_so else CHALLENGE)


def test_a_second_lock_can_only_extend_the_dispute_into_the_past(alice: User, clock: Clock) -> None:
    clock.advance(days=8)
    sign_in(Client(), "alice")
    sign_in(Client(), "alice")
    early = lock_link("new browser")
    clock.advance(days=10)
    set_up_authenticator(signed_in(alice), name="Early")
    clock.advance(days=10)
    lock(alice)
    assert Authenticator.objects.count() == 1, "the factor is too old to be suspended"

    Client().post(early)

    assert not Authenticator.objects.exists()
    at = reloaded(alice).disputed_at
    lock(alice)
    assert reloaded(alice).disputed_at == at
