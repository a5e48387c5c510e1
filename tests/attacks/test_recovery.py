"""Ways back in by mail: links and codes of others, used, late, cut, crossed, guessed."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.throttle.limits import MAIL_SUBSCRIBER
from tests.conftest import Clock
from tests.support.signin import signed_in
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    WRONG_CODE,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"
BY_CODE = "/accounts/login/code/"
NEW = "a lantern over seven wet roofs"


def ask_reset(login: str, browser: Client | None = None) -> str:
    """Ask for a link; the one that was mailed, as a path."""
    assert (browser or Client()).post(RESET, {"login": login}).status_code == 200
    return path_of(outbox()[-1].action_url)


def ask_code(login: str, browser: Client, **more: str) -> str:
    """Ask for a code; the one that was mailed."""
    assert browser.post(BY_CODE, {"login": login, **more}).status_code == 302
    return str(outbox()[-1].code)


def take(link: str, password: str = NEW) -> int:
    """What the link answers to a new password."""
    return Client().post(link, {"password1": password}).status_code


def works(password: str, login: str = "alice") -> bool:
    browser = Client()
    sign_in(browser, login, password)
    return is_signed_in(browser)


def test_a_reset_link_is_good_once_and_ends_every_sign_in() -> None:
    alice = make_user("alice")
    elsewhere = signed_in(alice)
    link = ask_reset("alice")

    assert take(link) == 302
    assert take(link, "another lantern over wet roofs") == 404
    assert not is_signed_in(elsewhere)
    assert works(NEW)
    assert not works(PASSWORD)
    assert outbox()[-2].to == "alice@example.org"
    assert "new password was set by mail" in outbox()[-2].subject


def test_a_reset_signs_nobody_in_by_itself() -> None:
    make_user("alice")
    browser = Client()
    link = ask_reset("alice", browser)

    assert browser.post(link, {"password1": NEW})["Location"] == LOGIN
    assert not is_signed_in(browser)


def test_a_reset_link_dies_after_thirty_minutes(clock: Clock) -> None:
    make_user("alice")
    link = ask_reset("alice")

    clock.advance(minutes=29, seconds=59)
    assert Client().get(link).status_code == 200
    clock.advance(seconds=2)
    assert take(link) == 404


@pytest.mark.parametrize("change", ["password", "address", "lockdown", "switched off"])
def test_a_reset_link_dies_with_any_change_of_the_account(change: str) -> None:
    alice = make_user("alice")
    link = ask_reset("alice")

    if change == "password":
        alice.set_password(NEW)
        alice.save()
    elif change == "address":
        added = add_address(signed_in(alice), "alice@example.net")
        assert added.status_code == 302
    elif change == "lockdown":
        signed_in(alice).post("/accounts/lockdown/")
    else:
        type(alice).objects.update(is_active=False)

    assert take(link, "a third lantern over the roofs") == 404


def add_address(browser: Client, address: str) -> Any:
    """Add an address and confirm it by its code."""
    browser.post("/accounts/email/", {"email": address})
    page = browser.get("/accounts/email/").text
    (pending,) = re.findall(r'name="confirm" value="([^"]+)"', page)
    return browser.post("/accounts/email/", {"confirm": pending, "code": outbox()[-1].code})


def test_all_reset_links_of_an_account_die_with_the_first_that_is_used() -> None:
    make_user("alice")
    links = [ask_reset("alice"), ask_reset("alice@example.org")]

    assert Client().get(links[0]).status_code == 200, "asking again is no way to end a link"
    assert take(links[1]) == 302
    assert take(links[0]) == 404


def test_a_reset_link_of_one_person_is_worth_nothing_for_another() -> None:
    make_user("alice")
    make_user("mallory")

    assert take(ask_reset("mallory")) == 302

    assert works(PASSWORD)
    assert works(NEW, "mallory")


@pytest.mark.parametrize("cut", [0, 1, 42])
def test_a_cut_blank_or_padded_reset_link_is_dead(cut: int) -> None:
    make_user("alice")
    link = ask_reset("alice").rstrip("/")
    secret = link.rpartition("/")[2]

    assert Client().get(f"{RESET}{secret[:cut]}%20/").status_code == 404
    assert Client().get(f"{RESET}{secret}A/").status_code == 404
    assert Client().get(f"{RESET}{secret[:-1]}/").status_code == 404


def test_purposes_crossed_open_nothing() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    browser.post("/accounts/email/", {"email": "alice@example.net"})
    confirm = path_of(outbox()[-1].action_url)
    notice = next(mail for mail in outbox() if "new browser" in mail.subject)
    secrets = [
        path.rstrip("/").rpartition("/")[2] for path in (confirm, path_of(notice.action_url))
    ]
    asking = Client()
    code = ask_code("alice", asking)

    for secret in (*secrets, code):
        assert Client().get(f"{RESET}{secret}/").status_code == 404
    reset = ask_reset("alice").rstrip("/").rpartition("/")[2]
    assert Client().get(f"/accounts/lockdown/{reset}/").status_code == 404
    assert browser.get(f"/accounts/email/confirm/{reset}/").status_code == 404
    assert "not right" in asking.post(BY_CODE, {"code": reset}).text


def test_a_mail_scanner_that_opens_the_reset_link_changes_nothing() -> None:
    make_user("alice")
    link = ask_reset("alice")

    for _ in range(3):
        assert Client().get(link).status_code == 200
        assert Client().head(link).status_code == 200

    assert works(PASSWORD)
    assert take(link) == 302


@pytest.mark.parametrize("page", [RESET, BY_CODE])
def test_known_unknown_pending_and_switched_off_get_one_answer(page: str) -> None:
    make_user("alice")
    make_user("bob", is_active=False)
    sign_up(Client(), "mallory")
    answers, before = set(), len(outbox())
    for login in ("alice", "bob", "mallory", "nobody", "mallory@example.org", "no@example.org"):
        answer = Client().post(page, {"login": login}, follow=True)
        body = re.sub(r'(token|nonce)[="\w]+ value="[^"]+"|nonce="[^"]+"', "", answer.text)
        answers.add((answer.status_code, body.replace(login, "")))

    assert len(answers) == 1
    assert [mail.to for mail in outbox()[before:] if mail.to] == ["alice@example.org"]


def test_a_mailed_code_is_good_once_in_the_browser_that_asked() -> None:
    make_user("alice")
    hers, thiefs = Client(), Client()
    code = ask_code("alice", hers)
    ask_code("alice@example.org", thiefs)

    assert "not right" in thiefs.post(BY_CODE, {"code": code}).text
    assert hers.post(BY_CODE, {"code": f" {code[:4].lower()} {code[4:]}"})["Location"] == "/"
    assert is_signed_in(hers)
    hers.post("/accounts/logout/")
    hers.post(BY_CODE, {"code": code})
    assert not is_signed_in(hers)


def test_asking_for_codes_does_not_end_the_one_its_owner_is_typing() -> None:
    make_user("alice")
    hers = Client()
    code = ask_code("alice", hers)

    for i in range(3):
        ask_code("alice", Client(REMOTE_ADDR=f"203.0.113.{i}"))

    assert hers.post(BY_CODE, {"code": code})["Location"] == "/"


def test_a_mailed_code_dies_after_five_tries_fifteen_minutes_or_a_change(clock: Clock) -> None:
    alice = make_user("alice")
    guessed, late, changed = Client(), Client(), Client()
    codes = [
        ask_code(login, browser)
        for login, browser in (("alice", guessed), ("ALICE@example.org", late))
    ]
    for _ in range(5):
        guessed.post(BY_CODE, {"code": WRONG_CODE})
    guessed.post(BY_CODE, {"code": codes[0]})
    assert not is_signed_in(guessed)

    clock.advance(minutes=15, seconds=1)
    late.post(BY_CODE, {"code": codes[1]})
    assert not is_signed_in(late)

    code = ask_code("alice", changed)
    alice.set_password(NEW)
    alice.save()
    changed.post(BY_CODE, {"code": code})
    assert not is_signed_in(changed)


def test_a_strangers_mailbox_is_not_filled_by_one_subscriber(clock: Clock) -> None:
    make_user("alice")
    statuses = []
    for _ in range(MAIL_SUBSCRIBER.burst + 5):
        statuses.append(Client().post(RESET, {"login": "alice"}).status_code)
        clock.advance(seconds=61)

    assert 429 in statuses
    assert sum(mail.to == "alice@example.org" for mail in outbox()) <= MAIL_SUBSCRIBER.burst + 3


def test_cve_2019_19844_no_mail_goes_to_an_address_as_typed() -> None:
    make_user("alice", email="alice@example.org")

    for page in (RESET, BY_CODE):
        Client().post(page, {"login": "ALICE@EXAMPLE.ORG"})
        assert outbox()[-1].to == "alice@example.org"
        Client().post(page, {"login": "al\u0131ce@example.org"})
        assert outbox()[-1].to == ""


def test_who_was_locked_out_by_a_lockdown_comes_back_by_mail_only() -> None:
    alice = make_user("alice")
    signed_in(alice).post("/accounts/lockdown/")

    assert not works(PASSWORD)
    assert take(ask_reset("alice")) == 302
    assert works(NEW)
