"""Attacks on email addresses, which can reset a password: adding, replacing and removing them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.emails import services as emails
from accounts.users.models import EmailAddress, FormerCredential, User
from accounts.users.services import AccountChanged, rename
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import (
    CONFIRM,
    PASSWORD,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

EMAIL = "/accounts/email/"
RESET = "/accounts/password/reset/"
NEW = "a lantern over seven wet roofs"
MINE = "alice@example.org"
THIEFS = "thief@example.net"
# The parts of a page that differ in each answer: ids, CSRF tokens, nonces.
CHANGING = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4,12}){4}|(token|nonce)[^>]+"')


@pytest.fixture
def alice() -> User:
    """Alice, a year after she signed up."""
    user = make_user("alice")
    user.date_joined -= timedelta(days=365)
    user.save()
    user.emails.update(confirmed_at=user.date_joined)
    return user


def button(browser: Client, name: str, address: str = "") -> str:
    """Return the value of the button called ``name`` in the row of ``address``."""
    rows = re.split(r"<li|<section", browser.get(EMAIL).text)
    (row,) = [row for row in rows if f'name="{name}"' in row and address in row]
    found = re.search(rf'name="{name}" value="([^"]+)"', row)
    assert found
    return found[1]


def add(browser: Client, address: str) -> Any:
    """Add an email and confirm it with the mailed code."""
    browser.post(EMAIL, {"email": address})
    return confirm(browser, address, outbox()[-1].code)


def confirm(browser: Client, address: str, code: str) -> Any:
    return browser.post(EMAIL, {"confirm": button(browser, "confirm", address), "code": code})


def make_primary(browser: Client, address: str) -> Any:
    return browser.post(EMAIL, {"primary": button(browser, "primary", address)})


def newest_mail(address: str, words: str) -> Any:
    """Return the newest mail to ``address`` with ``words`` in its subject."""
    return [mail for mail in outbox() if mail.to == address and words in mail.subject][-1]


def state(user: User) -> tuple[str, set[str]]:
    user.refresh_from_db()
    return user.email, set(user.emails.values_list("email", flat=True))


def test_an_email_signs_in_only_after_it_is_confirmed(alice: User) -> None:
    browser, by_address = signed_in(alice), Client()
    browser.post(EMAIL, {"email": "alice@example.net"})
    code = outbox()[-1].code

    sign_in(by_address, "alice@example.net")
    assert not is_signed_in(by_address)
    confirm(browser, "alice@example.net", code)
    sign_in(by_address, "alice@example.net")
    assert is_signed_in(by_address)


def test_an_email_belongs_to_the_first_user_who_confirms_it(alice: User) -> None:
    browser = signed_in(alice)
    browser.post(EMAIL, {"email": "bob@example.org"})
    code = outbox()[-1].code
    bob = Client()
    sign_up(bob, "bob")
    bob.post(CONFIRM, {"code": outbox()[-1].code})

    confirm(browser, "bob@example.org", code)

    assert is_signed_in(bob)
    assert EmailAddress.objects.get(key="bob@example.org").user.username == "bob"
    assert state(alice) == (MINE, {MINE})


def test_adding_a_taken_email_looks_like_a_free_one_and_its_owner_is_notified(alice: User) -> None:
    browser = signed_in(make_user("mallory"))

    pages = []
    for address in (MINE, "free@example.org"):
        answer = browser.post(EMAIL, {"email": address}, follow=True)
        pages.append(CHANGING.sub("", answer.text).replace(address, ""))
        browser.post(EMAIL, {"cancel": button(browser, "cancel", address)})

    assert pages[0] == pages[1]
    notice = newest_mail(MINE, "tried to add")
    assert not notice.code
    assert not notice.action_url


def test_a_confirmation_link_works_only_for_its_user_and_only_by_post(alice: User) -> None:
    browser = signed_in(alice)
    browser.post(EMAIL, {"email": "alice@example.net"})
    link = path_of(outbox()[-1].action_url)

    assert Client().post(link)["Location"].startswith("/accounts/login/?next=")
    assert signed_in(make_user("mallory")).post(link).status_code == 404
    browser.get(link)
    assert state(alice) == (MINE, {MINE})
    assert browser.post(link).status_code == 302
    assert browser.post(link).status_code == 404
    assert state(alice) == (MINE, {MINE, "alice@example.net"})


def test_email_changes_need_recent_authentication(alice: User, clock: Clock) -> None:
    browser = signed_in(alice)
    add(browser, "alice@example.net")
    make, remove = (button(browser, name, "alice@example.net") for name in ("primary", "remove"))
    clock.advance(minutes=16)

    for data in ({"primary": make}, {"remove": remove}, {"email": "third@example.net"}):
        assert "/reauthenticate/" in browser.post(EMAIL, data)["Location"]

    assert state(alice) == (MINE, {MINE, "alice@example.net"})


def test_another_users_email_cannot_be_made_primary_or_removed(alice: User) -> None:
    browser = signed_in(alice)
    add(browser, "alice@example.net")
    number = button(browser, "remove", "alice@example.net")
    mallory = make_user("mallory")

    for name in ("primary", "remove"):
        signed_in(mallory).post(EMAIL, {name: number})
        signed_in(mallory).post(EMAIL, {name: "9" * 400})

    assert state(alice) == (MINE, {MINE, "alice@example.net"})
    assert state(mallory) == ("mallory@example.org", {"mallory@example.org"})


def test_an_account_keeps_its_primary_email_and_has_at_most_ten(alice: User) -> None:
    browser = signed_in(alice)

    browser.post(EMAIL, {"remove": str(alice.emails.get().pk)})
    for i in range(12):
        browser.post(EMAIL, {"email": f"alice{i}@example.net"})

    assert state(alice) == (MINE, {MINE})
    assert browser.get(EMAIL).text.count('name="confirm"') == 9


def steal(alice: User) -> Client:
    """Replace alice's email with the thief's, in her own session."""
    thief = signed_in(alice)
    add(thief, THIEFS)
    make_primary(thief, THIEFS)
    thief.post(EMAIL, {"remove": button(thief, "remove", MINE)})
    assert state(alice) == (THIEFS, {THIEFS})
    return thief


@pytest.mark.parametrize("words", ["primary email address was changed", "was removed", "was added"])
def test_a_link_mailed_to_the_former_email_locks_a_stolen_account_and_its_owner_gets_it_back(
    alice: User, words: str
) -> None:
    thief = steal(alice)
    link = path_of(newest_mail(MINE, words).action_url)

    assert THIEFS not in Client().get(link).text
    assert Client().post(link).status_code == 200
    assert Client().post(link).status_code == 404
    assert state(alice) == ("", set())
    assert not is_signed_in(thief)

    owner = Client()
    owner.post(RESET, {"login": MINE})
    reset = path_of(newest_mail(MINE, "Set a new password").action_url)
    owner.post(reset, {"former": PASSWORD})
    owner.post(reset, {"password1": NEW})
    sign_in(owner, "alice", NEW)
    row = FormerCredential.objects.get(label=MINE, is_suspended=False)
    owner.post("/accounts/review/", {"keep": row.pk})
    assert state(alice) == (MINE, {MINE})


@pytest.mark.parametrize("days, good", [(29.99, True), (30, False)])
def test_a_change_of_emails_can_be_disputed_for_thirty_days(
    alice: User, clock: Clock, days: float, good: bool
) -> None:
    steal(alice)
    links = [
        path_of(newest_mail(MINE, words).action_url)
        for words in ("primary email address was changed", "was removed", "was added")
    ]

    clock.advance(days=days)

    assert {Client().get(link).status_code for link in links} == {200 if good else 404}


def test_lock_links_mailed_to_a_suspended_email_no_longer_work(alice: User) -> None:
    steal(alice)
    Client().post(path_of(newest_mail(MINE, "was removed").action_url))

    links = [mail.action_url for mail in outbox() if mail.to == THIEFS and mail.action_url]
    locking = [path_of(link) for link in links if "/lockdown/" in link]

    assert locking
    assert {Client().post(link).status_code for link in locking} == {404}


def test_email_changes_in_progress_fail_after_a_lockdown(alice: User) -> None:
    owner = signed_in(alice)
    add(owner, "alice@example.net")
    as_read, (other,) = User.objects.get(), alice.emails.filter(email="alice@example.net")
    owner.post("/accounts/lockdown/")

    for act in (
        lambda: emails.make_primary(as_read, other.pk, Actor()),
        lambda: emails.remove(as_read, other.pk, Actor()),
        lambda: rename(as_read, "mallory"),
    ):
        with pytest.raises(AccountChanged):
            act()
