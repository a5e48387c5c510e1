"""Recovery of a locked account that a thief has changed."""

from uuid import uuid4

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.proofs import Method, Proof
from accounts.mail.models import MailReceipt
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential, User
from tests.support.disputes import (
    EMAIL,
    LOCK,
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    accept_notices,
    alice,
    asks_to_wait,
    known_browser,
    lock,
    lock_link,
    opens,
    recipients_of,
    recovery_page,
    reloaded,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.passkeys import options_of, owner, post_credential, times_in_history
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    code_of,
    enrolled,
    recovery_codes_on,
    seed_on,
    unused_code,
)
from tests.support.second_factor import set_up_authenticator as adds_an_app
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in
from tests.support.webauthn import registered


@pytest.fixture(name="alice")
def alice_after_a_year(clock):
    user = make_user("alice")
    clock.advance(days=365)
    return user


SETUP = "/accounts/2fa/totp/setup/"


def locked_with_a_factor(user, clock):
    """Lock the account a week after its owner has added an authenticator; return its seed."""
    seed = enrolled(user)
    clock.advance(days=8)
    lock(user)
    return seed


@proves("63B-4.3")
def test_a_lock_suspends_the_factors_that_a_copied_cookie_added(alice, clock):
    """Withstands a thief in the account.

    The thief adds an app and makes recovery codes; the owner still has her own app.
    """
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
    assert reloaded(alice).horizon, "each suspended credential must be decided"
    for label in ("Mallory’s", "Recovery codes"):
        review(home, "delete", label)
    assert home.post(REVIEW, {"done": "1"}).url == "/"
    assert Authenticator.objects.count() == 1
    assert not FormerCredential.objects.filter(is_suspended=True).exists()


@pytest.mark.parametrize("changed", [False, True], ids=["kept", "replaced by the thief"])
def test_two_older_proofs_open_an_account_without_a_factor_at_once(alice, clock, changed):
    """The password from before the lock counts, even if the thief has changed it twice."""
    for password in ("another of the thiefs 7", "thiefs own password 7") if changed else ():
        signed_in(reloaded(alice)).post("/accounts/password/change/", {"password1": password})
    lock(alice)
    browser, link = Client(), reset_link()

    assert not sets_password(browser, link), "the mailbox alone is not enough"
    for wrong in ("", "x", NEW, "thiefs own password 7"):
        browser.post(link, {"former": wrong})
        assert not sets_password(browser, link)
    browser.post(link, {"former": PASSWORD})
    assert not sets_password(Client(), link), "a proof counts only in the browser that gave it"
    assert sets_password(browser, link)


def test_a_former_email_can_lock_but_not_open_an_account_and_learns_no_new_email(alice, clock):
    """Withstands a thief with the mailbox.

    Removed less than a week ago, it counts as still there, so it can ask to wait.
    """
    new = "new@example.net"
    clock.advance(days=8)
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
    assert 'value="ask"' in former.get(reset_link(to=MINE)).text
    assert former.post(link).status_code == 404, "a lock link works once"

    assert not opens(Client(), reset_link(to=new)), "a suspended email is no proof"
    assert opens(former, reset_link(to=MINE))


def test_the_password_from_before_the_lock_leads_to_recovery_without_a_mailbox(alice, clock):
    """Withstands a thief with the mailbox.

    The thief has the mailbox. The password alone starts no waiting period.
    """
    seed = locked_with_a_factor(alice, clock)

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
def test_a_removed_factor_counts_whatever_was_shown_to_remove_it(alice, clock, by_itself):
    """Withstands a thief in the account.

    A thief in a fresh session adds a factor first, and removes the owner's with it.
    """
    seed = enrolled(alice)
    clock.advance(days=8)
    home = signed_in(alice)
    home.post("/accounts/reauthenticate/", {"code": code_of(seed)})
    row = Authenticator.objects.get()
    if not by_itself:
        stolen = seed_on(home.get(SETUP).text)
        home.post(SETUP, {"code": code_of(stolen), "name": "Mallory’s"})
    assert home.post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code == 302
    lock_down(reloaded(alice), Actor())
    browser, link = Client(), reset_link()
    clock.advance(minutes=5)

    browser.post(link, {"code": code_of(seed)})

    assert sets_password(browser, link)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_reset_after_the_wait_removes_lost_factors_only_if_the_owner_asks_for_it(
    alice, clock, says_so
):
    enrolled(alice)
    clock.advance(days=8)
    lock(alice)
    assert asks_to_wait(Client(), reset_link())
    clock.advance(hours=73)

    home, link = Client(), reset_link()
    assert sets_password(home, link, **({"lost": "on"} if says_so else {}))

    row = Recovery.objects.get()
    assert (row.opened_with, row.stopped_at) == (1, None), "it can be asked for again"
    assert Authenticator.objects.exists() is not says_so
    assert sign_in(home, "alice", NEW).url == ("/" if says_so else CHALLENGE)


def test_former_credentials_are_kept_until_the_dispute_ends(home, clock):
    thief = signed_in(alice())
    thief.post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    changed = lock_link("password was changed")
    clock.advance(days=28)
    Client().post(changed)
    clock.advance(days=10)
    assert former_credentials.prune() == 0

    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert sets_password(browser, link)


def test_a_lock_names_the_first_wrong_change_and_can_later_only_reach_further_back(home, clock):
    adds_an_app(signed_in(alice()), name="Mallory’s")
    wrong = Activity.objects.get(kind="factor_added")
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    link = lock_link("password was changed")
    assert str(wrong.pk) in Client().get(link).text

    Client().post(link, {"wrong": str(wrong.pk)})

    assert not Authenticator.objects.exists()
    horizon = alice().horizon
    lock(alice())
    assert alice().horizon == horizon
    assert opens(home, reset_link())


def test_a_mailbox_locks_alone_once_in_thirty_days(home, clock):
    """Withstands a thief with the mailbox.

    Even if the mailbox alone has opened the account, so that it has as much as that.
    """
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    assert Client().post(lock_link("password was changed")).status_code == 200
    assert asks_to_wait(Client(), reset_link())
    clock.advance(hours=73)
    assert sets_password(Client(), reset_link())
    link = lock_link("password was reset")

    refused = Client().post(link).text
    assert "can’t lock the account with this address alone" in refused
    assert {'href="#id_wrong"', 'id="id_wrong"'} <= set(refused.replace(">", " ").split())
    assert not alice().is_locked_down
    clock.advance(days=27)
    assert Client().post(link).status_code == 200
    assert alice().is_locked_down


def test_a_thief_with_the_password_cannot_request_recovery_by_an_added_email(home):
    """Withstands a thief with the password."""
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    thief, link = Client(), reset_link(to=THIEFS)
    thief.post(link, {"former": PASSWORD})
    assert thief.post(link, {"lost": "ask"}).status_code == 403


def test_a_mailbox_that_is_no_older_proof_learns_no_username_from_the_reset(home):
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    objections = {m.to: path_of(m.action_url) for m in outbox() if "asked to unlock" in m.subject}
    for to, is_told in ((MINE, True), (THIEFS, False)):
        for link in (reset_link(to=to), objections[to]):
            assert ("alice" in Client().get(link).text) is is_told, (to, link)


def test_an_email_that_its_owner_added_and_removed_cannot_lock_the_account(home, clock):
    """Withstands a thief with the mailbox."""
    users.confirm_email(alice(), THIEFS)
    browser = signed_in(alice())
    browser.post("/accounts/password/change/", {"password1": NEW})
    browser.post(EMAIL, {"remove": EmailAddress.objects.get(email=THIEFS).pk})

    links = [m.action_url for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(link)).status_code for link in links} == {404}


def test_an_old_email_that_a_thief_removes_can_still_lock_the_account(home, clock):
    """Withstands a thief in the account."""
    users.confirm_email(alice(), second := "second@example.org")
    clock.advance(days=8)
    thief = signed_in(alice())
    thief.post("/accounts/password/change/", {"password1": NEW})
    thief.post(EMAIL, {"remove": EmailAddress.objects.get(email=second).pk})

    assert Client().post(lock_link("password was changed", second)).status_code == 200
    assert alice().is_locked_down


def test_a_removed_factor_is_not_accepted_without_a_lock_and_guesses_are_limited(home, clock):
    """Withstands a guesser.

    The attacker has found the replaced phone and reads the mailbox.
    """
    old = enrolled(alice())
    clock.advance(days=8)
    browser = signed_in(alice())
    browser.post("/accounts/reauthenticate/", {"code": code_of(old)})
    adds_an_app(browser, name="New")
    clock.advance(minutes=1)
    browser.post("/accounts/reauthenticate/", {"code": code_of(old)})
    row = Authenticator.objects.get(name="Phone")
    assert browser.post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code == 302
    clock.advance(days=1)
    finder = Client()
    finder.post(reset_link(), {"code": code_of(old)})
    assert not sets_password(finder, reset_link())

    lock_down(alice(), Actor())
    link = reset_link()
    clock.advance(minutes=1)
    right = code_of(old)
    answers = [finder.post(link, {"code": "000000"}).status_code for _ in range(6)]
    assert answers[-1] == 429
    assert finder.post(link, {"code": right}).status_code == 429
    clock.advance(minutes=10)
    shows = [Client().post(link, {"code": code_of(old)}).status_code for _ in range(2)]
    assert shows == [302, 200], "a code works once"


def test_the_browser_is_not_told_to_delete_a_suspended_passkey(clock):
    _alice, passkey = owner()
    User.objects.update(date_joined=clock.now().replace(year=2020))
    lock_down(User.objects.get(), Actor())

    page = post_credential(Client(), passkey.get(options_of(Client())))

    assert not is_signed_in(page.client)
    assert "data-signal" not in page.text


def test_a_passkey_leads_to_the_recovery_of_a_locked_account_without_a_mailbox(home, clock):
    passkey = registered(alice())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    browser = Client()
    answer = post_credential(browser, passkey.get(options_of(browser)))
    link = browser.get(answer.url).url
    assert "1 of 2 shown" in browser.get(link).text
    assert not sets_password(browser, link), "one thing is not enough, not even a factor"
    assert browser.post(link, {"lost": "ask"}).status_code == 403, "only a mailbox can wait"
    assert opens(browser, link)


def test_a_passkey_removed_by_a_thief_is_accepted_once_at_the_reset_of_a_locked_account(
    home, clock
):
    enrolled(alice())
    passkey = registered(alice(), counts=True)
    clock.advance(days=8)
    stolen = Client()
    post_credential(stolen, passkey.get(options_of(stolen)))
    row = alice().passkey_set.get()
    assert stolen.post(f"/accounts/2fa/passkeys/{row.pk}/", {"remove": "1"}).status_code == 302
    lock_down(alice(), Actor())

    browser, link = Client(), reset_link()
    options = options_of(browser, link)
    for wrong in (passkey.get(options_of(Client())), passkey.get(options, counter=1)):
        assert post_credential(browser, wrong, link).status_code == 200
    credential = passkey.get(options)
    answers = [post_credential(each, credential, link).status_code for each in (browser, Client())]
    assert answers == [302, 200], "an answer works once"
    assert sets_password(browser, link)


def test_recovery_codes_count_as_older_proof_if_a_thief_replaced_them(home, clock):
    """Withstands a thief in the account."""
    enrolled(alice())
    clock.advance(minutes=1)
    browser = signed_in(alice())
    browser.post(RECOVERY_CODES, {"new": "1"})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    clock.advance(days=30)
    thief = Client()
    sign_in(thief, "alice")
    thief.post(CHALLENGE, {"code": codes[0]})
    thief.post(RECOVERY_CODES, {"new": "1"})
    lock_down(alice(), Actor())
    assert not RecoveryCodes.objects.exists()

    browser, link = Client(), reset_link()
    browser.post(link, {"code": codes[1]})
    assert sets_password(browser, link)
    assert Client().post(reset_link(), {"code": codes[1]}).status_code == 200, "used up"


def test_a_thief_with_another_mailbox_cannot_finish_or_replace_the_owners_request(home, clock):
    """Withstands a thief with the mailbox."""
    second = "alice@work.example"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    locked_with_a_factor(alice(), clock)
    assert asks_to_wait(Client(), reset_link())
    assert not asks_to_wait(Client(), reset_link(to=second))
    clock.advance(hours=73)

    assert not sets_password(Client(), reset_link(to=second))
    assert sets_password(Client(), reset_link())


def test_a_request_that_shows_more_stops_the_other_which_cannot_be_made_again(home, clock):
    enrolled(alice())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    thief, owner, link = Client(), Client(), reset_link()
    assert asks_to_wait(thief, link)
    owner.post(link, {"former": PASSWORD})

    assert asks_to_wait(owner, link)

    assert not asks_to_wait(thief, link)
    row = Recovery.objects.get()
    assert (row.asked_kinds, row.stopped_by) == ({"password", "mailbox"}, row.asked)


def test_a_request_with_a_mailbox_that_a_later_lock_puts_aside_does_not_count(home, clock):
    EmailAddress.objects.create(user=alice(), email=THIEFS, key=THIEFS, confirmed_at=clock.now())
    wrong_at = clock.now()
    locked_with_a_factor(alice(), clock)
    assert asks_to_wait(Client(), reset_link(to=THIEFS))

    lock_down(alice(), Actor(), wrong_at)

    assert recovery.running(alice()) is None
    assert asks_to_wait(Client(), reset_link())


def test_locking_again_does_not_end_the_owners_waiting_period(home, clock):
    """Withstands a thief in the account."""
    locked_with_a_factor(alice(), clock)
    assert asks_to_wait(Client(), reset_link())

    lock_down(alice(), Actor())
    factor = Proof.now(Method.TOTP, Authenticator.objects.get().persistent_id)
    assert not recovery.cancel(alice(), factor, actor=Actor()), "nor does a factor alone"

    clock.advance(hours=73)
    assert sets_password(Client(), reset_link())


def test_an_owner_without_the_mailbox_stops_the_thiefs_request_and_recovers(home, clock):
    seed = locked_with_a_factor(alice(), clock)
    assert asks_to_wait(Client(REMOTE_ADDR="203.0.113.9"), reset_link())

    browser, link = recovery_page()
    browser.post(link, {"code": code_of(seed)})
    assert sets_password(browser, link)
    assert recovery.running(alice()) is None


@proves("V6.4.4", "63B-4.2.1")
def test_the_mailbox_alone_must_wait_and_whoever_can_open_the_account_can_object(alice, clock):
    clock.advance(days=8)
    users.confirm_email(alice, "second@example.org")
    lock(alice)
    thief = Client()
    assert asks_to_wait(thief, reset_link())
    assert recipients_of("asked to unlock your account") == {MINE, "second@example.org"}
    clock.advance(hours=71)
    assert not sets_password(thief, reset_link())
    objection = next(
        path_of(m.action_url) for m in outbox() if m.to == MINE and "asked to unlock" in m.subject
    )

    assert "you also need a passkey or a code" in Client().post(objection).text
    assert Client().post(objection, {"former": NEW}).status_code == 200
    assert recovery.running(alice)
    assert "has been stopped" in Client().post(objection, {"former": PASSWORD}).text

    clock.advance(hours=2)
    assert not sets_password(thief, reset_link())
    assert not asks_to_wait(thief, reset_link()), "not again for 30 days"


def test_the_wait_begins_when_a_mail_server_accepts_a_notice_and_is_told_daily(alice, clock):
    """Withstands a thief with the mailbox.

    A server that refuses the notice for good leaves a receipt, too.
    """
    clock.advance(days=8)
    lock(alice)
    browser, link = Client(), reset_link()
    browser.post(link, {"lost": "ask"})
    assert "The waiting time begins when we’ve sent you an email." in browser.get(link).text
    (refused,) = Recovery.objects.get().mails
    MailReceipt.objects.create(pk=refused, created_at=clock.now(), failure="refused")
    MailReceipt.objects.create(pk=uuid4(), created_at=clock.now())
    assert recovery.remind() == 0
    clock.advance(hours=73)
    assert not sets_password(Client(), reset_link()), "no server has accepted a notice"
    call_command("prune")
    accept_notices()
    clock.advance(hours=71)
    call_command("prune")
    assert recovery.remind() == 0
    assert not sets_password(Client(), reset_link())
    clock.advance(hours=25)
    call_command("prune")

    assert sets_password(Client(), reset_link())
    assert len([m for m in outbox() if "asked to unlock" in m.subject]) == 3


def test_an_objection_counts_until_the_new_password_is_saved(alice, clock, monkeypatch):
    """The objection arrives while the new password is being hashed."""
    locked_with_a_factor(alice, clock)
    thief = Client()
    assert asks_to_wait(thief, reset_link())
    clock.advance(hours=73)
    link = reset_link()
    key = Authenticator.objects.get().persistent_id
    objection = (Proof.now(Method.PASSWORD), Proof.now(Method.TOTP, key))

    def hash_while_another_objects(password):
        assert recovery.cancel(reloaded(alice), *objection, actor=Actor())
        return make_password(password)

    monkeypatch.setattr(passwords, "hash_password", hash_while_another_objects)
    assert not sets_password(thief, link)
    assert reloaded(alice).is_locked_down


@proves("V6.4.4")
def test_staff_cannot_recover_by_waiting_or_remove_their_factors(clock):
    carol = make_user("carol", is_staff=True)
    seed = enrolled(carol)
    clock.advance(days=30)
    key = Authenticator.objects.get().persistent_id
    shown = (Proof.now(Method.MAIL, "carol@example.org"), Proof.now(Method.TOTP, key))
    with pytest.raises(recovery.NotOffered):
        recovery.remove_factors(carol, *shown, actor=Actor())
    lock(carol)
    home, link = Client(), reset_link("carol")

    assert home.post(link, {"lost": "ask"}).status_code == 403
    home.post(link, {"former": PASSWORD})
    home.post(link, {"code": code_of(seed)})
    assert home.post(link, {"password1": NEW, "lost": "on"}).status_code == 302

    assert Authenticator.objects.filter(user=carol).exists()


def test_guesses_of_strangers_at_the_former_password_are_counted_over_all_links(alice, clock):
    """Withstands a guesser."""
    clock.advance(days=8)
    lock(alice)

    links = [reset_link() for _ in range(3)]
    assert asks_to_wait(Client(), links.pop())
    links.append(next(path_of(m.action_url) for m in outbox() if "asked to unlock" in m.subject))

    statuses = [Client().post(link, {"former": "a guess"}).status_code for link in links * 2]

    assert statuses == [200] * 5 + [429]
    assert Client().post(links[0], {"former": PASSWORD}).status_code == 429
    assert recipients_of("tried to recover your account") == {MINE}
    browser, link = recovery_page()
    assert "1 of 2 shown" in browser.get(link).text, "the sign-in still takes it"
    clock.advance(days=2)
    link = reset_link()
    assert [Client().post(link, {"former": "a guess"}).status_code for _ in range(5)] == [200] * 5
    assert times_in_history(alice, "former_guessed") == 2, "the owner hears of it again"
