"""Disputes in which a thief and the owner each hold some proof of the account."""

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.lockdown.services import lock_down
from accounts.recovery import suspension
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential, User
from tests.attacks.dispute_steps import (
    EMAIL,
    LOCK,
    NEW,
    REVIEW,
    alice,
    lock_link,
    recipients_of,
    recovery_page,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.attacks.passkey_steps import options_of, owner, post_credential
from tests.conftest import Clock
from tests.support.second import CHALLENGE, RECOVERY_CODES, code_of, enrolled, recovery_codes_on
from tests.support.second import turn_on as adds_an_app
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, outbox, path_of, sign_in
from tests.support.webauthn import Passkey, registered

pytestmark = pytest.mark.django_db

MINE, THIEFS = "alice@example.org", "thief@example.net"


def test_a_removed_factor_is_not_accepted_without_a_lock_and_guesses_are_limited(
    home: Client, clock: Clock
) -> None:
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


def test_an_email_that_a_thief_removed_just_before_a_lock_can_be_restored(
    home: Client, clock: Clock
) -> None:
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


def test_an_unfinished_review_does_not_backdate_a_later_lock(home: Client, clock: Clock) -> None:
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


def test_an_unfinished_review_ends_after_thirty_days_and_a_lock_does_not(
    home: Client, clock: Clock
) -> None:
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


def test_former_credentials_are_kept_until_the_dispute_ends(home: Client, clock: Clock) -> None:
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


def test_the_browser_is_not_told_to_delete_a_suspended_passkey(clock: Clock) -> None:
    _alice, passkey = owner()
    User.objects.update(date_joined=clock.now().replace(year=2020))
    lock_down(User.objects.get(), Actor())

    page = post_credential(Client(), passkey.get(options_of(Client())))

    assert not is_signed_in(page.client)
    assert "data-signal" not in page.text


def test_a_passkey_leads_to_the_recovery_of_a_locked_account_without_a_mailbox(
    home: Client, clock: Clock
) -> None:
    """The owner may have nothing but the passkey and a known browser."""
    passkey = registered(alice())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    browser = Client()
    link = recovery_page_by_passkey(browser, passkey)
    assert "<li>a second factor</li>" in browser.get(link).text
    assert not sets_password(browser, link), "one proof is not enough, not even a factor"
    assert sets_password(home, recovery_page_by_passkey(home, passkey))


def recovery_page_by_passkey(browser: Client, passkey: Passkey) -> str:
    """Sign in to a locked account with its passkey; return the recovery page's path."""
    answer = post_credential(browser, passkey.get(options_of(browser)))
    return str(browser.get(answer.url).url)


def test_a_passkey_removed_by_a_thief_is_accepted_once_at_the_reset_of_a_locked_account(
    home: Client, clock: Clock
) -> None:
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


def test_mails_to_suspended_emails_report_changes_but_no_username_and_no_ip_address(
    home: Client, clock: Clock
) -> None:
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
    assert [m.subject.removeprefix("authsite: ") for m in heard] == [
        "The account was locked",
        "somebody asked to open your locked account",
        "Set a new password at authsite",
        "A new password was set by email",
        "Something that was suspended was deleted",
    ]
    assert all("192.0.2" not in text_of(m) and "alice" not in text_of(m) for m in heard)
    assert recipients_of("review after the lock was finished") >= {MINE}


def test_a_thief_with_the_password_cannot_request_recovery_by_an_added_email(home: Client) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    thief, link = Client(), reset_link(to=THIEFS)
    thief.post(link, {"former": PASSWORD})
    assert thief.post(link, {"lost": "ask"}).status_code == 403


def test_a_mailbox_that_is_no_older_proof_learns_no_username_from_the_reset(home: Client) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    objections = {m.to: path_of(m.action_url) for m in outbox() if "asked to open" in m.subject}
    for to, is_told in ((MINE, True), (THIEFS, False)):
        for link in (reset_link(to=to), objections[to]):
            assert ("alice" in Client().get(link).text) is is_told, (to, link)


def test_an_account_that_is_locked_while_its_review_expires_stays_disputed(
    home: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_down(alice(), Actor())
    assert sets_password(home, reset_link())
    clock.advance(days=31)
    end = suspension._end_review

    def lock_and_end(user: User) -> bool:
        lock_down(alice(), Actor())
        return end(user)

    monkeypatch.setattr(suspension, "_end_review", lock_and_end)
    assert suspension.end_forgotten_reviews() == 0
    assert alice().is_disputed


def test_changes_made_by_a_node_of_the_previous_version_are_read_from_the_history(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    record(alice(), events.ADDRESS_ADDED, Actor(), detail=THIEFS)
    User.objects.update(email=THIEFS, password=make_password(NEW))
    record(alice(), events.PASSWORD_CHANGED, Actor())
    mine = EmailAddress.objects.get(email=MINE)
    record(alice(), events.ADDRESS_REMOVED, Actor(), detail=MINE, former=mine)
    mine.delete()
    clock.advance(hours=1)

    home.post(lock_link("email address was removed"))

    assert sign_in(Client(), "alice", NEW).status_code == 200, "not an older password"
    assert sets_password(home, reset_link(to=MINE))


def test_an_earlier_lock_link_extends_the_dispute_of_a_locked_account(
    home: Client, clock: Clock
) -> None:
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
    sign_in(home, "alice", NEW)
    for label in ("Mallory’s", "Recovery codes"):
        review(home, "delete", label)
    home.post(REVIEW, {"done": "1"})
    lock_down(alice(), Actor())
    assert Client().post(unused).status_code == 404, "the dispute of that link is over"


def test_recovery_codes_count_as_older_proof_if_a_thief_replaced_them(
    home: Client, clock: Clock
) -> None:
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


def test_an_email_that_its_owner_added_and_removed_cannot_lock_the_account(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    browser = signed_in(alice())
    browser.post("/accounts/password/change/", {"password1": NEW})
    browser.post(EMAIL, {"remove": EmailAddress.objects.get(email=THIEFS).pk})

    links = [m.action_url for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(link)).status_code for link in links} == {404}


def test_a_reset_link_from_during_the_lock_is_invalid_once_the_review_has_begun(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    stale, (thief, link) = reset_link(to=THIEFS), recovery_page()
    assert sets_password(home, reset_link())

    assert not sets_password(Client(), stale)
    assert not sets_password(thief, link)


def test_a_factor_that_a_thief_removed_is_still_required(home: Client, clock: Clock) -> None:
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


def test_an_owner_whose_only_email_is_new_can_lock_and_recover_the_account(
    home: Client, clock: Clock
) -> None:
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


def test_the_notice_of_a_reset_can_lock_the_account_again(home: Client, clock: Clock) -> None:
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)
    assert sets_password(Client(), reset_link())

    assert Client().post(lock_link("A new password was set by email")).status_code == 200
    assert alice().is_locked_down
