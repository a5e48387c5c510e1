"""Attacks on sign-up: invalid input, finding out who has an account, and taking usernames."""

import dataclasses
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.throttle.limits import MAIL_SUBSCRIBER
from accounts.users.models import PendingSignup, User, Username
from tests.support.clock import Clock
from tests.support.signup import confirm, signed_up, visible
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    SIGNUP,
    WRONG,
    WRONG_CODE,
    code_in,
    link_in,
    mail_to,
    make_user,
    outbox,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db


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
            visible(sign_up(browser, f"{case}bob", f"{case}@example.org")),
            visible(browser.get(CONFIRM)),
            visible(confirm(browser, WRONG_CODE)),
            visible(browser.post(CONFIRM, {"resend": "1"})),
        ]
        clock.advance(minutes=2)
        story += [
            visible(browser.post(CONFIRM, {"resend": "1"})),
            visible(browser.get(CONFIRM)),
            visible(sign_in(other, f"{case}bob", WRONG)),
            visible(sign_in(other, f"{case}bob", PASSWORD)),
            visible(other.get(CONFIRM)),
            visible(sign_in(Client(), f"{case}@example.org", WRONG)),
            visible(sign_up(Client(), f"{case}bob", "elsewhere@example.org")),
            visible(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob", f"{case}@example.org")),
            visible(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob2", f"{case}@example.org")),
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


def test_sign_ups_with_a_taken_username_do_not_use_up_the_mail_budget() -> None:
    make_user("taken")
    for _ in range(MAIL_SUBSCRIBER.burst + 1):
        assert "username is taken" in sign_up(Client(), "taken", "alice@example.org").text
    assert outbox() == []

    assert sign_up(Client(), "alice").status_code == 302


def test_one_network_alone_cannot_block_an_email_from_signing_up() -> None:
    mallory = Client(REMOTE_ADDR="192.0.2.66")
    statuses = [
        sign_up(mallory, f"mallory{i}", "alice@example.org").status_code
        for i in range(MAIL_SUBSCRIBER.burst + 1)
    ]

    assert statuses == [302] * MAIL_SUBSCRIBER.burst + [429]
    assert sign_up(Client(REMOTE_ADDR="198.51.100.1"), "alice").status_code == 302
