"""Recovery of a locked account that a thief has changed."""

import dataclasses

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.recovery import suspension
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.disputes import Evidence, OwnershipEvidence
from accounts.users.models import EmailAddress, FormerCredential, User
from tests.support.disputes import (
    EMAIL,
    LOCK,
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    alice,
    known_browser,
    lock,
    lock_link,
    recipients_of,
    recovery_page,
    reloaded,
    reopened,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.passkeys import options_of, owner, post_credential
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
from tests.support.second_factor import set_up_authenticator as adds_an_app
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db


@pytest.fixture(name="alice")
def alice_after_a_year(clock):
    user = make_user("alice")
    clock.advance(days=365)
    return user


SETUP = "/accounts/2fa/totp/setup/"


def test_a_lock_suspends_the_factors_that_a_copied_cookie_added(alice, clock):
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


def test_a_factor_that_the_thief_added_is_not_required_to_recover(alice, clock):
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
def test_two_older_proofs_open_an_account_without_a_factor_at_once(alice, clock, changed):
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


def test_a_former_email_can_lock_but_not_open_an_account_and_learns_no_new_email(alice, clock):
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


def test_the_password_from_before_the_lock_leads_to_recovery_without_a_mailbox(alice, clock):
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
    alice, clock, by_itself
):
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


def recovery_codes_on_new_set(browser):
    browser.post(RECOVERY_CODES, {"new": "1"})
    return recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]


@pytest.mark.parametrize("says_so", [True, False])
def test_a_reset_removes_lost_factors_only_if_the_owner_asks_for_it(alice, clock, says_so):
    home = known_browser(alice)
    enrolled(alice)
    clock.advance(days=8)
    lock(alice)
    link = reset_link()
    home.post(link, {"former": PASSWORD})

    assert sets_password(home, link, **({"lost": "on"} if says_so else {}))

    assert Authenticator.objects.exists() is not says_so
    assert sign_in(home, "alice", NEW).url == ("/" if says_so else CHALLENGE)


def test_a_second_lock_can_only_extend_the_dispute_into_the_past(alice, clock):
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


def test_an_unfinished_review_does_not_backdate_a_later_lock(home, clock):
    lock_down(alice(), Actor())
    assert sets_password(home, reset_link())
    clock.advance(days=80)
    enrolled(alice())
    clock.advance(days=8)

    lock_down(alice(), Actor())

    assert Authenticator.objects.exists()
    link = reset_link()
    home.post(link, {"former": NEW})
    assert "<li>your password</li>" in home.get(link).text


def test_an_unfinished_review_ends_after_thirty_days_and_a_lock_does_not(home, clock):
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    clock.advance(days=31)
    call_command("prune")
    assert alice().is_disputed
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert sets_password(browser, link)
    for days, is_open in ((29, True), (1, False)):
        clock.advance(days=days)
        call_command("prune")
        assert (bool(alice().disputed_at), FormerCredential.objects.exists()) == (is_open, is_open)

    before = len(outbox())
    signed_in(alice()).post("/accounts/password/change/", {"password1": PASSWORD + " anew"})
    assert {m.to for m in outbox()[before:]} == {MINE}


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


def test_an_account_that_is_locked_while_its_review_expires_stays_disputed(
    home, clock, monkeypatch
):
    lock_down(alice(), Actor())
    assert sets_password(home, reset_link())
    clock.advance(days=31)
    end = suspension._end_review

    def lock_and_end(user):
        lock_down(alice(), Actor())
        return end(user)

    monkeypatch.setattr(suspension, "_end_review", lock_and_end)
    assert suspension.end_forgotten_reviews() == 0
    assert alice().is_disputed


def test_an_earlier_lock_link_extends_the_dispute_of_a_locked_account(home, clock):
    thief = Client()
    sign_in(thief, "alice")
    unused = lock_link("from a new browser")
    clock.advance(minutes=1)
    adds_an_app(thief, name="Mallory’s")
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    early, late = lock_link("authenticator app was added"), lock_link("password was changed")
    Client().post(late)
    assert Authenticator.objects.exists()

    Client().post(early)

    assert not Authenticator.objects.exists()
    home.post(link := reset_link(), {"former": PASSWORD})
    assert sets_password(home, link)
    assert Client().post(unused).status_code == 404, "this mailbox has locked the account once"
    sign_in(home, "alice", NEW)
    for label in ("Mallory’s", "Recovery codes"):
        review(home, "delete", label)
    home.post(REVIEW, {"done": "1"})
    lock_down(alice(), Actor())
    assert Client().post(unused).status_code == 404, "the dispute of that link is over"


def test_the_notice_of_a_reset_can_lock_the_account_again(home, clock):
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)
    assert sets_password(Client(), reset_link())

    assert Client().post(lock_link("password was reset")).status_code == 200
    assert alice().is_locked_down


def test_an_email_that_a_thief_removed_just_before_a_lock_can_be_restored(home, clock):
    thief = signed_in(alice())
    users.confirm_email(alice(), THIEFS)
    thief = signed_in(alice())
    thief.post(EMAIL, {"primary": EmailAddress.objects.get(email=THIEFS).pk})
    thief = signed_in(alice())
    thief.post(EMAIL, {"remove": EmailAddress.objects.get(email=MINE).pk})
    clock.advance(minutes=1)
    signed_in(alice()).post(LOCK)

    link = reset_link(to=MINE)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label=MINE, is_suspended=False)
    home.post(REVIEW, {"keep": row.pk})
    assert alice().email == MINE


def test_mails_to_suspended_emails_report_changes_but_no_username_and_no_ip_address(home, clock):
    """A thief's mailbox must learn neither the owner's IP address nor a new username."""
    users.confirm_email(alice(), THIEFS)
    here = {"REMOTE_ADDR": "192.0.2.77"}
    lock_down(alice(), Actor(ClientInfo("192.0.2.77", "Firefox")))
    Client(**here).post(reset_link(), {"lost": "ask"})
    reset_link(to=THIEFS)
    assert sets_password(home, reset_link())
    clock.advance(days=40)
    home.cookies.pop("sessionid", None)
    sign_in(Client(**here), "alice", NEW)
    sign_in(home, "alice", NEW)
    review(home, "delete", THIEFS)
    home.post(REVIEW, {"done": "1"})

    heard = [m for m in outbox() if m.to == THIEFS]
    assert [m.subject for m in heard] == [
        "Your account was locked",
        "Someone asked to unlock your account",
        "Set a new password for authsite",
        "Your password was reset",
        "A suspended item was deleted from your account",
    ]
    assert all("192.0.2" not in text_of(m) and "alice" not in text_of(m) for m in heard)
    assert recipients_of("review of your account is finished") >= {MINE}


def test_a_thief_with_the_password_cannot_request_recovery_by_an_added_email(home):
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
    users.confirm_email(alice(), THIEFS)
    browser = signed_in(alice())
    browser.post("/accounts/password/change/", {"password1": NEW})
    browser.post(EMAIL, {"remove": EmailAddress.objects.get(email=THIEFS).pk})

    links = [m.action_url for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(link)).status_code for link in links} == {404}


def test_a_reset_link_from_during_the_lock_is_invalid_once_the_review_has_begun(home, clock):
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    stale, (thief, link) = reset_link(to=THIEFS), recovery_page()
    assert sets_password(home, reset_link())

    assert not sets_password(Client(), stale)
    assert not sets_password(thief, link)


def test_an_owner_whose_only_email_is_new_can_lock_and_recover_the_account(home, clock):
    new = "new@example.net"
    users.confirm_email(alice(), new)
    for name, address in (("primary", new), ("remove", MINE)):
        row = EmailAddress.objects.get(email=address)
        signed_in(alice()).post(EMAIL, {name: row.pk})
    clock.advance(days=3)
    users.confirm_email(alice(), THIEFS)
    for name, address in (("primary", THIEFS), ("remove", new)):
        row = EmailAddress.objects.get(email=address)
        signed_in(alice()).post(EMAIL, {name: row.pk})

    home.post(lock_link("email address was removed", to=new))
    link = reset_link(to=new)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)


def test_a_removed_factor_is_not_accepted_without_a_lock_and_guesses_are_limited(home, clock):
    """The attacker has found the replaced phone and reads the mailbox."""
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
    """The owner may have nothing but the passkey and a known browser."""
    passkey = registered(alice())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    browser = Client()
    link = recovery_page_by_passkey(browser, passkey)
    assert "<li>a second factor</li>" in browser.get(link).text
    assert not sets_password(browser, link), "one proof is not enough, not even a factor"
    assert sets_password(home, recovery_page_by_passkey(home, passkey))


def recovery_page_by_passkey(browser, passkey):
    """Sign in to a locked account with its passkey; return the recovery page's path."""
    answer = post_credential(browser, passkey.get(options_of(browser)))
    return str(browser.get(answer.url).url)


def test_a_passkey_removed_by_a_thief_is_accepted_once_at_the_reset_of_a_locked_account(
    home, clock
):
    enrolled(alice())
    passkey = registered(alice())
    clock.advance(days=8)
    stolen = Client()
    post_credential(stolen, passkey.get(options_of(stolen)))
    row = alice().passkey_set.get()
    assert stolen.post(f"/accounts/2fa/passkeys/{row.pk}/", {"remove": "1"}).status_code == 302
    lock_down(alice(), Actor())

    browser, link = Client(), reset_link()
    credential = passkey.get(options_of(browser, link))
    answers = [post_credential(each, credential, link).status_code for each in (browser, Client())]
    assert answers == [302, 200], "an answer works once"
    assert sets_password(browser, link)


def test_recovery_codes_count_as_older_proof_if_a_thief_replaced_them(home, clock):
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


def test_a_factor_that_a_thief_removed_is_still_required(home, clock):
    seed = enrolled(alice())
    clock.advance(days=8)
    thief = signed_in(alice())
    thief.post("/accounts/reauthenticate/", {"code": code_of(seed)})
    thief.post(f"/accounts/2fa/totp/{Authenticator.objects.get().pk}/", {"remove": "1"})
    assert not Authenticator.objects.exists()
    lock_down(alice(), Actor())

    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert not sets_password(browser, link), (
        "mailbox and password are not enough without the factor"
    )
    clock.advance(minutes=1)
    browser.post(link, {"code": code_of(seed)})
    assert sets_password(browser, link)


def test_a_thief_with_other_proof_cannot_finish_the_owners_waiting_period(home, clock):
    second = "alice@work.example"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)

    thief, by_password = recovery_page()
    for link in (by_password, reset_link(to=second)):
        assert not sets_password(thief, link)
        thief.post(link, {"lost": "ask"})
    assert Recovery.objects.get().due_at <= clock.now(), "the owner's request is not replaced"
    assert sets_password(Client(), reset_link())


def test_a_thiefs_recovery_request_is_replaced_once_an_earlier_change_is_disputed(home, clock):
    second = "thief@example.net"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    adds_an_app(signed_in(alice()), name="Mallory’s")
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    early, late = lock_link("authenticator app was added"), lock_link("password was changed")
    Client().post(late)
    Client().post(reset_link(to=second), {"lost": "ask"})
    owner, link = Client(), reset_link()
    owner.post(link, {"lost": "ask"})
    assert [key for _kind, key, _since in Recovery.objects.get().evidence] == [second]

    Client().post(early)
    Client().post(reset_link(), {"lost": "ask"})

    assert [key for _kind, key, _since in Recovery.objects.get().evidence] == ["alice@example.org"]


def test_a_lock_link_of_a_later_event_does_not_make_a_thiefs_browser_an_older_proof(home, clock):
    """The thief has one mailbox, and a browser that signed in after the disputed change."""
    second = "alice@work.example"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    clock.advance(days=8)
    adds_an_app(signed_in(alice()), name="Mallory’s")
    thief = known_browser(alice())
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    late = lock_link("password was changed")
    home.post(lock_link("authenticator app was added", to=second))
    home, link = recovery_page(browser=home)
    home.post(link, {"lost": "ask"})
    assert Recovery.objects.exists()

    assert thief.post(late).status_code == 200

    assert Recovery.objects.exists()


def test_locking_again_does_not_end_the_owners_waiting_period(home, clock):
    lock_down(alice(), Actor())
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    enrolled(alice())
    Client().post(reset_link(), {"code": "000000"})
    about_codes = [m for m in outbox() if "failed at the second step" in m.subject]
    assert not [m for m in about_codes if LOCK in m.action_url]
    Authenticator.objects.all().delete()
    FormerCredential.objects.create(
        user=alice(), kind="factor", removed_at=clock.now(), is_suspended=True, data={}
    )
    browser.post(link, {"lost": "ask"})
    due = Recovery.objects.get().due_at

    lock_down(alice(), Actor())

    assert Recovery.objects.get().due_at == due


def test_an_owner_without_the_mailbox_cancels_the_thiefs_request_and_recovers(home, clock):
    thief = Client(REMOTE_ADDR="203.0.113.9")
    assert sets_password(thief, reset_link())
    sign_in(thief, "alice", NEW)
    adds_an_app(thief)
    lock_down(alice(), Actor())
    thief.post(reset_link(), {"lost": "ask"})

    browser, link = recovery_page(browser=home)
    browser.post(link, {"lost": "stop"})
    assert not Recovery.objects.exists()
    browser.post(link, {"lost": "ask"})
    clock.advance(hours=72)
    browser, link = recovery_page(browser=home)
    assert sets_password(browser, link)


def test_a_thiefs_recovery_requests_use_up_none_of_the_owners(home, clock):
    enrolled(alice())
    for _ in range(3):
        thief = Client()
        sign_in(thief, "alice")
        thief.post(CHALLENGE, {"lost": "ask"})
        Recovery.objects.all().delete()

    sign_in(home, "alice")
    assert home.post(CHALLENGE, {"lost": "ask"}).status_code == 302
    assert Recovery.objects.exists()


def test_the_former_password_alone_does_not_finish_a_request_from_before_the_lock(home, clock):
    enrolled(alice())
    clock.advance(days=8)
    thief = Client()
    sign_in(thief, "alice")
    thief.post(CHALLENGE, {"lost": "ask"})
    assert Recovery.objects.exists()
    lock_down(alice(), Actor())
    clock.advance(hours=73)

    thief, link = recovery_page()
    assert not sets_password(thief, link, lost="on")
    assert Authenticator.objects.exists()


def test_the_mailbox_alone_must_wait_and_two_older_proofs_can_object(alice, clock):
    home = known_browser(alice)
    clock.advance(days=8)
    users.confirm_email(alice, "second@example.org")
    lock(alice)
    thief, link = Client(), reset_link()
    thief.post(link, {"lost": "ask"})
    assert recipients_of("asked to unlock your account") == {MINE, "second@example.org"}
    clock.advance(hours=71)
    assert not sets_password(thief, reset_link())
    objection = path_of(next(m.action_url for m in outbox() if "asked to unlock" in m.subject))

    assert "That isn’t enough" in Client().post(objection).text, (
        "one proof does not outweigh another"
    )
    assert Client().post(objection, {"former": NEW}).status_code == 200
    assert Recovery.objects.exists()
    assert "The recovery request has been stopped" in home.post(objection).text

    clock.advance(hours=2)
    assert not sets_password(thief, reset_link())
    thief.post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)
    assert sets_password(thief, reset_link()), "nobody objected this time"


def test_an_objection_counts_until_the_new_password_is_saved(alice, clock, monkeypatch):
    """The objection arrives while the new password is being hashed."""
    enrolled(alice)
    clock.advance(days=8)
    lock(alice)
    thief, link = Client(), reset_link()
    thief.post(link, {"lost": "ask"})
    clock.advance(hours=72)
    link = reset_link()

    def hash_while_another_objects(password):
        objection = {OwnershipEvidence(Evidence.EMAIL), OwnershipEvidence(Evidence.BROWSER)}
        assert recovery.cancel(alice, frozenset(objection), Actor())
        return make_password(password)

    monkeypatch.setattr(passwords, "hash_password", hash_while_another_objects)
    assert not sets_password(thief, link)
    assert reloaded(alice).is_locked_down


def test_staff_cannot_recover_by_waiting_or_remove_their_factors(clock, settings):
    carol = make_user("carol", is_staff=True)
    home = known_browser(carol)
    enrolled(carol)
    clock.advance(days=30)
    lock(carol)
    link = reset_link("carol")

    assert home.post(link, {"lost": "ask"}).status_code == 403
    home.post(link, {"former": PASSWORD})
    assert home.post(link, {"password1": NEW, "lost": "on"}).status_code == 302

    assert Authenticator.objects.filter(user=carol).exists()


def test_with_waiting_switched_off_only_enough_older_proofs_open_the_account(
    alice, clock, settings
):
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, factor_recovery_hours=0)
    home = known_browser(alice)
    clock.advance(days=8)
    lock(alice)

    assert Client().post(reset_link(), {"lost": "ask"}).status_code == 403
    assert sets_password(home, reset_link())


def test_the_review_restores_an_email_that_a_thief_removed(alice, clock):
    home, kept = known_browser(alice), "kept@example.org"
    users.confirm_email(alice, kept)
    clock.advance(days=8)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"primary": EmailAddress.objects.get(email=kept).pk})
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"remove": EmailAddress.objects.get(email=MINE).pk})
    users.confirm_email(reloaded(alice), THIEFS)
    home.post(lock_link("email address was removed", to=MINE))
    assert not EmailAddress.objects.filter(email=THIEFS).exists()
    home = reopened(home, alice)

    review(home, "keep", MINE)

    assert reloaded(alice).email == kept
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {MINE, kept}
    assert recipients_of("was restored") >= {MINE, kept, THIEFS}
    assert not any(
        MINE in text_of(m) for m in outbox() if m.to == THIEFS and "restored" in m.subject
    )


def test_an_email_that_another_user_has_now_is_not_restored(alice, clock):
    home = known_browser(alice)
    clock.advance(days=8)
    users.confirm_email(alice, "shared@example.org")
    lock(alice)
    users.confirm_email(make_user("bob"), "shared@example.org")
    home = reopened(home, alice)

    assert (
        "can’t be restored"
        in home.post(
            REVIEW, {"keep": str(FormerCredential.objects.get(kind="email").pk)}, follow=True
        ).text
    )

    assert EmailAddress.objects.get(email="shared@example.org").user.username == "bob"


def test_only_the_owner_can_restore_a_suspended_credential(alice, clock):
    home = known_browser(alice)
    clock.advance(days=8)
    set_up_authenticator(signed_in(alice), name="Tablet")
    lock(alice)
    link = reset_link()
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label="Tablet")

    clock.advance(days=40)
    assert FormerCredential.objects.filter(pk=row.pk).exists()
    mallory = signed_in(make_user("mallory"))
    for act in ("keep", "delete", "keep_identity", "delete_identity"):
        assert mallory.post(REVIEW, {act: str(row.pk)}).status_code == 404
        assert mallory.post(REVIEW, {act: "9" * 400}).status_code == 404
    assert not Authenticator.objects.exists()

    owner = signed_in(reloaded(alice))
    other = signed_in(reloaded(alice))
    review(owner, "keep", "Tablet")
    assert Authenticator.objects.get().name == "Tablet"
    assert [is_signed_in(owner), is_signed_in(other)] == [True, False]


def test_suspended_emails_are_recorded_in_the_history_and_named_in_no_other_mail(alice, clock):
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/password/change/", {"password1": NEW})
    thief.post(LOCK)

    kinds = Activity.objects.filter(kind="suspended").values_list("detail", flat=True)
    assert list(kinds) == [THIEFS]
    assert recipients_of("Your account was locked") == {MINE, THIEFS}
    assert not any(THIEFS in text_of(m) for m in outbox() if m.to == MINE)
    thiefs = [m for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(m.action_url)).status_code for m in thiefs} == {404}


@pytest.mark.parametrize("act", [suspension.put_back, suspension.delete, suspension.finish])
def test_a_review_during_a_change_of_the_account_fails_without_effect(alice, clock, act):
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    lock(alice)
    as_read = reloaded(alice)
    users.void_proofs_and_links(alice)
    row = FormerCredential.objects.get(kind="email").pk

    with pytest.raises(users.AccountChanged):
        act(as_read, *([] if act is suspension.finish else [row]), Actor())
    assert FormerCredential.objects.filter(pk=row).exists()
    assert reloaded(alice).disputed_at
