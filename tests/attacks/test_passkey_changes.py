"""Passkeys that were copied, removed or overtaken, and accounts that change meanwhile."""

from typing import Any

import pytest
from django.test import Client

from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.signin import passkey as view
from accounts.twofactor.models import Passkey as Row
from accounts.users import services as users
from accounts.users.models import User
from tests.attacks.passkey_steps import asked, enters, happened, owner, passkeys_of, show
from tests.conftest import Clock
from tests.support.second import enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, outbox, path_of, sign_in
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"


def test_a_counter_that_does_not_go_on_is_refused_recorded_and_mailed() -> None:
    alice, passkey = owner(counts=True)
    for _ in range(2):
        assert enters(passkey)

    for counter in (2, 1, 0):
        assert not enters(passkey, counter=counter)

    assert happened(alice, "passkey_suspect") == 3
    told = [mail for mail in outbox() if "counter went back" in mail.subject]
    assert [mail.to for mail in told] == [alice.email] * 3
    assert enters(passkey), "the real one goes on"


def test_the_same_answer_sent_twice_is_no_sign_of_a_copy() -> None:
    alice, passkey = owner(counts=True)
    browser = Client()
    answer = passkey.get(asked(browser))

    for _ in range(2):
        show(Client(), answer)

    assert happened(alice, "signed_in") + happened(alice, "signed_in_new") == 1
    assert happened(alice, "passkey_suspect") == 0


def test_a_passkey_that_was_removed_meanwhile_opens_nothing_and_may_be_forgotten() -> None:
    _alice, passkey = owner()
    browser = Client()
    answer = passkey.get(asked(browser))
    Row.objects.all().delete()

    page = show(browser, answer)

    assert not is_signed_in(browser)
    assert "data-signal" in page.text
    assert passkey.id in page.text


def test_a_passkey_opens_no_account_that_was_switched_off() -> None:
    alice, passkey = owner()
    browser = Client()
    answer = passkey.get(asked(browser))
    User.objects.update(is_active=False)

    assert show(browser, answer).url == "/accounts/inactive/"
    assert not LoginSession.objects.filter(user=alice).exists()


def test_a_passkey_checked_before_a_change_of_the_account_signs_nobody_in_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, passkey = owner()
    check = view.passkeys.sign_in

    def overtaken(*arguments: Any) -> Any:
        checked = check(*arguments)
        users.void_proofs(alice)
        return checked

    monkeypatch.setattr(view.passkeys, "sign_in", overtaken)

    assert not enters(passkey)
    assert not LoginSession.objects.filter(user=alice).exists()


def test_a_thiefs_passkey_opens_nothing_after_a_lockdown_nor_after_the_new_password(
    clock: Clock,
) -> None:
    alice, passkey = owner()
    enrolled(alice)
    clock.advance(days=8)
    thiefs = registered(alice)

    assert signed_in(alice).post("/accounts/lockdown/").status_code == 200
    assert not enters(thiefs)
    assert not enters(passkey), "it is no way round the new password"

    browser = Client()
    browser.post(RESET, {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    browser.post(link, {"code": unused_code(alice)})
    browser.post(link, {"password1": "slow comet over the harbour"})
    assert passkeys_of(alice) == [passkey.id]
    assert happened(alice, "suspended") == 1
    assert not enters(thiefs)
    assert enters(passkey)


def test_an_older_passkey_stops_whoever_waits_at_a_locked_account(clock: Clock) -> None:
    alice, passkey = owner()
    clock.advance(days=8)
    signed_in(alice).post("/accounts/lockdown/")
    thief = Client()
    thief.post(RESET, {"login": "alice"})
    thief.post(path_of(outbox()[-1].action_url), {"lost": "ask"})
    assert Recovery.objects.exists()

    assert not enters(passkey)

    assert not Recovery.objects.exists()


def test_a_mailbox_alone_removes_no_passkey_by_a_lockdown(clock: Clock) -> None:
    alice, passkey = owner()

    signed_in(alice).post("/accounts/lockdown/")
    browser = Client()
    browser.post(RESET, {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    browser.post(link, {"password1": "slow comet over the harbour"})

    assert passkeys_of(alice) == [passkey.id]
    assert not sign_in(Client(), "alice", "slow comet over the harbour").get("Location")


def test_only_so_many_answers_are_checked_for_one_network_and_known_browsers_are_apart(
    clock: Clock,
) -> None:
    from accounts.throttle.limits import PASSKEY_BROWSER, PASSKEY_NETWORK

    _alice, passkey = owner()
    hers, browser = Client(), Client()
    assert enters(passkey, hers)
    hers.post("/accounts/logout/")
    statuses = {show(browser, "{}").status_code for _ in range(PASSKEY_NETWORK.burst)}

    assert statuses == {200}
    assert show(browser, passkey.get(asked(browser))).status_code == 429
    assert show(hers, "{}").status_code == 429, "of nobody's"
    wrong = passkey.get({**asked(hers), "challenge": "A" * 43})
    many = [show(hers, wrong).status_code for _ in range(PASSKEY_BROWSER.burst - 1)]
    assert set(many) == {200}
    assert enters(passkey, hers)
    clock.advance(seconds=PASSKEY_NETWORK.refill)
    assert enters(passkey, browser)
