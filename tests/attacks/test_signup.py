"""Attacks on sign-up: finding out who has an account, and confirming another person's email."""

import dataclasses
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.common.client_info import ClientInfo
from accounts.signup import services
from accounts.signup.errors import SignupEnded
from accounts.throttle.limits import LOGIN_LINE, MAIL_LINE
from accounts.users.models import PendingSignup, User, Username
from tests.conftest import Clock
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    SIGNUP,
    WRONG,
    WRONG_CODE,
    but_for_nonces,
    code_in,
    is_signed_in,
    link_in,
    mail_to,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db


def signed_up(
    username: str, address: str | None = None, password: str = PASSWORD
) -> tuple[Client, Any]:
    """Sign up; return the browser and the mail that was sent."""
    browser = Client()
    answer = sign_up(browser, username, address, password)
    assert answer.status_code == 302, answer.content.decode()
    return browser, outbox()[-1]


def confirm(browser: Client, code: str) -> Any:
    return browser.post(CONFIRM, {"code": code})


def page(answer: Any) -> tuple[int, str, str]:
    """Return what a page shows, without the parts that change or that were typed in."""
    text = re.sub(r'value="[^"]*"|<time.*</time>', "", but_for_nonces(answer.content.decode()))
    return answer.status_code, answer.headers.get("Location", ""), re.sub("free|taken", "", text)


def test_both_parts_of_the_mail_have_code_and_link_and_the_subject_begins_with_the_code() -> None:
    sign_up(Client(), "alice")

    mail = mail_to("alice")
    assert mail.subject.startswith(f"{code_in(mail)} ")
    html, kind = mail.alternatives[0]
    assert kind == "text/html"
    for words in (code_in(mail), f"http://localhost:8000{link_in(mail)}", "Hello alice"):
        assert words in html
        assert words in mail.body
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "field, value, says",
    [("password1", "elevenchars", "at least 12"), ("username", "a@b", "letters, digits"),
     ("email", "alice", "valid email")],
)  # fmt: skip
def test_invalid_input_is_reported_at_its_field_without_hashing_and_the_rest_is_kept(
    monkeypatch: pytest.MonkeyPatch, field: str, value: str, says: str
) -> None:
    monkeypatch.delattr("django.contrib.auth.hashers.Argon2PasswordHasher.encode")

    shown = sign_up(Client(), "alice", **{field: value}).text

    assert "<title>Error: " in shown
    summary = re.search(rf'<a href="#id_{field}">([^<]*)</a>', shown)
    assert summary
    assert says in summary[1]
    assert f'aria-describedby="id_{field}' in shown
    for other, typed in (("username", "alice"), ("email", "alice@example.org")):
        assert other == field or f'value="{typed}"' in shown
    assert PASSWORD not in shown
    assert not PendingSignup.objects.exists()


def test_a_unicode_username_and_a_password_of_full_length_are_accepted_whole() -> None:
    name, password = "\xdcn\xef-c\xf6d\xe9._", f"  {510 * 'z\xfc'}  "
    browser, mail = signed_up(name, "alice@example.org", password)
    assert confirm(browser, mail.code)["Location"] == "/"

    assert len(password) == 1024
    assert sign_in(Client(), name, password).url == "/"
    assert sign_in(Client(), name, password[:-1]).status_code == 200
    assert User.objects.get().username == name


def test_closed_sign_up_is_announced_and_creates_nothing(settings: Any) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, signup="closed")

    assert SIGNUP not in Client().get(LOGIN).text
    for response in (Client().get(SIGNUP), sign_up(Client(), "alice")):
        assert response.status_code == 403
        assert "Sign-up is closed" in response.text
    assert not PendingSignup.objects.exists()
    assert outbox() == []


def test_a_taken_and_a_free_email_look_the_same_at_sign_up_and_later(clock: Clock) -> None:
    make_user("taken")
    stories = []
    for case in ("free", "taken"):
        browser, other = Client(), Client()
        story = [
            page(sign_up(browser, f"{case}bob", f"{case}@example.org")),
            page(browser.get(CONFIRM)),
            page(confirm(browser, WRONG_CODE)),
            page(browser.post(CONFIRM, {"resend": "1"})),
        ]
        clock.advance(minutes=2)
        story += [
            page(browser.post(CONFIRM, {"resend": "1"})),
            page(browser.get(CONFIRM)),
            page(sign_in(other, f"{case}bob", WRONG)),
            page(sign_in(other, f"{case}bob", PASSWORD)),
            page(other.get(CONFIRM)),
            page(sign_in(Client(), f"{case}@example.org", WRONG)),
            page(sign_up(Client(), f"{case}bob", "elsewhere@example.org")),
            page(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob", f"{case}@example.org")),
            page(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob2", f"{case}@example.org")),
        ]
        stories.append(story)

    for free, taken in zip(*stories, strict=True):
        assert free == taken


def test_the_owner_of_a_taken_email_gets_one_mail_that_confirms_nothing() -> None:
    make_user("alice")

    signed_up("mallory", "ALICE@Example.org")

    [mail] = outbox()
    assert mail.to == "alice@example.org"
    assert mail.code == ""
    assert CONFIRM not in mail.to_json()
    assert "mallory" not in mail.to_json()


def test_a_sign_up_runs_the_same_statements_for_a_taken_and_a_free_email() -> None:
    make_user("taken")
    kinds = []
    for case in ("free", "taken"):
        with CaptureQueriesContext(connection) as queries:
            sign_up(Client(), f"{case}bob", f"{case}@example.org")
        statements = [query["sql"].split("VALUES")[0] for query in queries]
        kinds.append([re.sub("free|taken|'[^']*'|[0-9]", "", sql) for sql in statements])

    assert kinds[0] == kinds[1]


def test_squatter_the_owners_click_confirms_no_account_without_its_password() -> None:
    mallory, mail = signed_up("mallory", "alice@example.org")
    phone, link = Client(), path_of(mail.action_url)

    shown = phone.get(link).text
    assert "mallory" in shown
    assert "password" in shown
    for fields in ({}, {"password": ""}, {"password": WRONG}):
        assert phone.post(link, fields).status_code == 200
    assert sign_in(Client(), "alice@example.org").status_code == 200, (
        "the email does not find a pending sign-up"
    )

    assert not User.objects.exists()
    assert not is_signed_in(phone)
    assert not is_signed_in(mallory)
    assert phone.post(link, {"password": PASSWORD}).status_code == 302
    assert is_signed_in(phone), "with the password, the link confirms in any browser"


def test_the_confirmation_link_does_not_bypass_the_limit_on_guesses(clock: Clock) -> None:
    _browser, mail = signed_up("alice")
    link = path_of(mail.action_url)

    statuses = [
        Client(REMOTE_ADDR=f"192.0.2.{i}").post(link, {"password": WRONG}).status_code
        for i in range(LOGIN_LINE.burst + 1)
    ]

    assert statuses == [200] * LOGIN_LINE.burst + [429]


def test_a_mail_scanner_that_opens_the_confirmation_link_confirms_nothing() -> None:
    browser, mail = signed_up("alice")
    link = path_of(mail.action_url)

    for client in (Client(), browser):
        for method in (client.get, client.head, client.get):
            assert method(link).status_code == 200

    assert not User.objects.exists()
    assert browser.post(link)["Location"] == "/"


def test_the_first_to_confirm_an_email_wins_and_other_sign_ups_end() -> None:
    """The owner's browser cannot open the squatter's link, either."""
    mallory, mail = signed_up("mallory", "alice@example.org", WRONG)
    alice, own = signed_up("alice", "ALICE@example.org")

    assert alice.post(path_of(mail.action_url)).status_code == 200
    assert not User.objects.exists()
    assert confirm(alice, own.code)["Location"] == "/"

    confirm(mallory, mail.code)
    assert mallory.post(path_of(mail.action_url)).status_code == 404
    assert User.objects.get().username == "alice"
    assert signed_up("mallory", "mallory@example.org")
    other = Client()
    assert other.post(path_of(own.action_url), {"password": PASSWORD}).status_code == 404
    assert confirm(other, own.code).status_code == 200
    assert not is_signed_in(other), "a used code does not work again"


def test_a_confirmation_code_works_only_for_its_sign_up_and_for_fifteen_minutes(
    clock: Clock,
) -> None:
    """A code allows five wrong tries and is valid for fifteen minutes, the link for three days."""
    (guessing, mail), (other, own) = signed_up("alice"), signed_up("mallory")

    assert confirm(other, mail.code).status_code == 200
    for _ in range(5):
        confirm(guessing, WRONG_CODE)
    assert confirm(guessing, mail.code).status_code == 200
    clock.advance(minutes=15)
    assert confirm(other, own.code).status_code == 200
    assert other.get(path_of(own.action_url)).status_code == 200
    clock.advance(days=3)
    assert other.post(path_of(own.action_url)).status_code == 404
    assert not User.objects.exists()


def test_a_newer_mail_or_a_corrected_email_invalidates_older_codes_and_links(clock: Clock) -> None:
    browser, first = signed_up("alice")
    too_soon = browser.post(CONFIRM, {"resend": "1"})
    assert (too_soon.status_code, too_soon["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    browser.post(CONFIRM, {"resend": "1"})
    second = outbox()[-1]
    clock.advance(minutes=2)
    browser.post(CONFIRM, {"correct": "1", "email": "right@example.org"})
    third = outbox()[-1]

    for old in (first, second):
        assert confirm(browser, old.code).status_code == 200
        assert browser.post(path_of(old.action_url)).status_code == 404
    assert third.to == "right@example.org"
    assert confirm(browser, third.code)["Location"] == "/"
    assert User.objects.get().email == "right@example.org"


@pytest.mark.parametrize("pruned", [False, True])
def test_usernames_of_pending_sign_ups_are_released_after_three_days_and_by_prune(
    clock: Clock, pruned: bool
) -> None:
    signed_up("alice", "mallory@example.org")
    clock.advance(days=3, seconds=-1)
    assert sign_up(Client(), "Alice", "alice@example.org").status_code == 200
    clock.advance(seconds=1)
    if pruned:
        call_command("prune", stdout=StringIO())
        assert not PendingSignup.objects.exists()
        assert not Username.objects.exists()

    assert sign_up(Client(), "Alice", "alice@example.org").status_code == 302
    assert PendingSignup.objects.get().username == "Alice"


def test_only_the_same_browser_can_replace_its_pending_sign_up() -> None:
    alice, _mail = signed_up("alice")
    bob, _mail = signed_up("bob")

    assert sign_up(bob, "alice", "bob@example.org").status_code == 200
    assert sign_up(alice, "ALICE", "right@example.org").status_code == 302
    assert confirm(alice, outbox()[-1].code)["Location"] == "/"
    assert User.objects.get().email == "right@example.org"


def test_no_mail_is_sent_to_an_email_that_was_corrected_meanwhile(clock: Clock) -> None:
    """A mail to the former email would let mallory confirm the email that she typed in instead."""
    signed_up("mallory")
    stale, signup = PendingSignup.objects.get(), PendingSignup.objects.get()
    services.correct_email(signup, "alice@example.org", client=ClientInfo("192.0.2.1", ""))
    clock.advance(minutes=2)

    with pytest.raises(SignupEnded):
        services.send_again(stale, client=ClientInfo("192.0.2.1", ""))

    assert outbox()[-1].to == "alice@example.org"


def test_a_code_confirms_only_the_email_that_it_was_mailed_to() -> None:
    browser, mail = signed_up("mallory")
    PendingSignup.objects.update(email="alice@example.org", email_key="alice@example.org")

    assert confirm(browser, mail.code).status_code == 200
    assert User.objects.count() == 0


def test_sign_ups_with_a_taken_username_do_not_use_up_the_mail_budget() -> None:
    make_user("taken")
    for _ in range(MAIL_LINE.burst + 1):
        assert "username is taken" in sign_up(Client(), "taken", "alice@example.org").text
    assert outbox() == []

    assert sign_up(Client(), "alice").status_code == 302


def test_one_network_alone_cannot_block_an_email_from_signing_up() -> None:
    mallory = Client(REMOTE_ADDR="192.0.2.66")
    statuses = [
        sign_up(mallory, f"mallory{i}", "alice@example.org").status_code
        for i in range(MAIL_LINE.burst + 1)
    ]

    assert statuses == [302] * MAIL_LINE.burst + [429]
    assert sign_up(Client(REMOTE_ADDR="198.51.100.1"), "alice").status_code == 302
