"""System 7: two-factor sign-in. Row 2: recovery codes, and several authenticators."""

import re

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    code_of,
    recovery_codes_on,
    turn_on,
    type_one_back,
    unused_code,
)
from tests.support.steps import sign_in

pytestmark = pytest.mark.django_db

OVERVIEW = "/accounts/2fa/"
FILE = f"{RECOVERY_CODES}file/"
LEFT = re.compile(r"(\d+) codes? (?:is|are) left")


def test_7_2_recovery_codes_come_with_it_and_are_shown_until_one_is_typed_back(
    client: Client, alice: User
) -> None:
    page = client.get(turn_on(client).url)
    made = recovery_codes_on(page.text)
    assert len(set(made)) == 10
    assert "no-store" in page["Cache-Control"]

    for typed in ("", "aaaaa-aaaaa", unused_code(alice)):
        again = client.post(RECOVERY_CODES, {"code": typed}).text
        assert recovery_codes_on(again) == made, "none of them was typed back"
    assert "keep your recovery codes" in client.get("/").text, "the next step on home"
    assert recovery_codes_on(client.get(RECOVERY_CODES).text) == made

    assert client.post(RECOVERY_CODES, {"code": f" {made[3].upper()} "}).url == OVERVIEW
    for path in ("/", OVERVIEW, RECOVERY_CODES):
        assert not [code for code in made if code in client.get(path).text], path
    assert client.post(FILE).status_code == 302
    assert "keep your recovery codes" not in client.get("/").text
    assert LEFT.findall(client.get(OVERVIEW).text) == ["10"], "the one typed back stays good"


def test_7_2_recovery_codes_are_downloaded_while_they_are_shown_and_not_stored(
    client: Client, alice: User
) -> None:
    made = recovery_codes_on(client.get(turn_on(client).url).text)

    file = client.post(FILE)

    assert file["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert file["Content-Type"] == "text/plain; charset=utf-8"
    assert "no-store" in file["Cache-Control"]
    lines = file.text.split("\r\n")
    assert lines[0].startswith("Recovery codes of alice at authsite")
    assert lines[2:12] == made
    assert client.get(FILE).status_code == 405, "a link would be kept in the history"


def test_7_2_another_app_brings_no_new_recovery_codes_and_both_work(
    client: Client, alice: User
) -> None:
    turn_on(client, name="Phone")
    type_one_back(client)

    assert turn_on(client, name="Tablet").url == OVERVIEW

    page = client.get(OVERVIEW).text
    assert re.findall(r"<strong><bdi>(\w+)</bdi></strong>", page) == ["Phone", "Tablet"]
    assert LEFT.findall(page) == ["10"]
    for row in alice.authenticator_set.all():
        row.last_t = -1
        row.save()
        browser = Client()
        sign_in(browser, "alice")
        assert browser.post(CHALLENGE, {"code": code_of(row.seed)}).url == "/"
