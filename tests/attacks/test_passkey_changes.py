"""Passkeys that were copied or removed, and accounts that change during a sign-in."""

from typing import Any

import pytest
from django.test import Client

from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.signin import views as view
from accounts.twofactor.models import Passkey as Row
from accounts.users import services as users
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.passkeys import (
    options_of,
    owner,
    passkeys_of,
    post_credential,
    signs_in,
    times_in_history,
)
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, outbox, path_of, sign_in
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"


def test_a_counter_that_does_not_increase_is_refused_recorded_and_mailed() -> None:
    alice, passkey = owner(counts=True)
    for _ in range(2):
        assert signs_in(passkey)

    for counter in (2, 1, 0):
        assert not signs_in(passkey, counter=counter)

    assert times_in_history(alice, "passkey_suspect") == 3
    told = [mail for mail in outbox() if "may have been copied" in mail.subject]
    assert [mail.to for mail in told] == [alice.email] * 3
    assert signs_in(passkey), "the real passkey still works"


def test_the_same_answer_sent_twice_is_not_reported_as_a_copied_passkey() -> None:
    alice, passkey = owner(counts=True)
    browser = Client()
    answer = passkey.get(options_of(browser))

    for _ in range(2):
        post_credential(Client(), answer)

    assert times_in_history(alice, "signed_in") + times_in_history(alice, "signed_in_new") == 1
    assert times_in_history(alice, "passkey_suspect") == 0


def test_a_removed_passkey_is_refused_and_the_browser_is_told_to_delete_it() -> None:
    _alice, passkey = owner()
    browser = Client()
    answer = passkey.get(options_of(browser))
    Row.objects.all().delete()

    page = post_credential(browser, answer)

    assert not is_signed_in(browser)
    assert "data-signal" in page.text
    assert passkey.id in page.text


def test_a_passkey_does_not_open_an_inactive_account() -> None:
    alice, passkey = owner()
    browser = Client()
    answer = passkey.get(options_of(browser))
    User.objects.update(is_active=False)

    assert post_credential(browser, answer).url == "/accounts/inactive/"
    assert not LoginSession.objects.filter(user=alice).exists()


def test_a_passkey_checked_before_a_change_of_the_account_gives_no_session_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, passkey = owner()
    check = view.passkeys.sign_in

    def overtaken(*arguments: Any) -> Any:
        checked = check(*arguments)
        users.void_proofs_and_links(alice)
        return checked

    monkeypatch.setattr(view.passkeys, "sign_in", overtaken)

    assert not signs_in(passkey)
    assert not LoginSession.objects.filter(user=alice).exists()


def test_a_lockdown_and_reset_remove_a_thiefs_passkey_and_keep_the_owners(
    clock: Clock,
) -> None:
    alice, passkey = owner()
    enrolled(alice)
    clock.advance(days=8)
    thiefs = registered(alice)

    assert signed_in(alice).post("/accounts/lockdown/").status_code == 200
    assert not signs_in(thiefs)
    assert not signs_in(passkey), "a locked account needs a reset first"

    browser = Client()
    browser.post(RESET, {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    browser.post(link, {"code": unused_code(alice)})
    browser.post(link, {"password1": "slow comet over the harbour"})
    assert passkeys_of(alice) == [passkey.id]
    assert times_in_history(alice, "suspended") == 1
    assert not signs_in(thiefs)
    assert signs_in(passkey)


def test_an_older_passkey_cancels_a_recovery_request_for_a_locked_account(clock: Clock) -> None:
    alice, passkey = owner()
    clock.advance(days=8)
    signed_in(alice).post("/accounts/lockdown/")
    thief = Client()
    thief.post(RESET, {"login": "alice"})
    thief.post(path_of(outbox()[-1].action_url), {"lost": "ask"})
    assert Recovery.objects.exists()

    assert not signs_in(passkey)

    assert not Recovery.objects.exists()


def test_the_mailbox_alone_removes_no_passkey_after_a_lockdown(clock: Clock) -> None:
    alice, passkey = owner()

    signed_in(alice).post("/accounts/lockdown/")
    browser = Client()
    browser.post(RESET, {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    browser.post(link, {"password1": "slow comet over the harbour"})

    assert passkeys_of(alice) == [passkey.id]
    assert not sign_in(Client(), "alice", "slow comet over the harbour").get("Location")


def test_passkey_answers_are_limited_by_network_and_separately_for_known_browsers(
    clock: Clock,
) -> None:
    from accounts.throttle.limits import UNGUESSABLE

    _alice, passkey = owner()
    hers, browser = Client(), Client()
    assert signs_in(passkey, hers)
    hers.post("/accounts/logout/")
    statuses = {post_credential(browser, "{}").status_code for _ in range(UNGUESSABLE.burst)}

    assert statuses == {200}
    assert post_credential(browser, passkey.get(options_of(browser))).status_code == 429
    assert post_credential(hers, "{}").status_code == 429, (
        "an answer without a known passkey counts for the network"
    )
    wrong = passkey.get({**options_of(hers), "challenge": "A" * 43})
    many = [post_credential(hers, wrong).status_code for _ in range(UNGUESSABLE.burst - 1)]
    assert set(many) == {200}
    assert signs_in(passkey, hers)
    clock.advance(seconds=UNGUESSABLE.per)
    assert signs_in(passkey, browser)
