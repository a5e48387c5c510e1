"""How strong a new password is, said while it is typed."""

import itertools
import logging
import time

import pytest
from django.test import Client
from playwright.sync_api import expect

from accounts.passwords import strength
from accounts.passwords.services import hash_password
from accounts.passwords.strength import measure
from accounts.users.services import create_administrator
from tests.support.browser import OpenPage, axe
from tests.support.signin import signed_in
from tests.support.site import Site
from tests.support.steps import SIGNUP

URL = "/accounts/password/strength/"
GOOD = "three teapots on a train"
# Each symbol stands for two letters or more, so that there are many readings to go through.
WORST = ("4@8({[<369&#!1/|0$5+7%2" * 4)[:72]


def ask(client: Client, password: str, **more: object) -> dict:
    return client.post(URL, {"password": password, **more}).json()


@pytest.mark.django_db
def test_strangers_are_told_how_strong_and_what_to_do(client: Client) -> None:
    assert ask(client, GOOD) == {"score": 4, "label": "Very good.", "advice": ""}
    weak = ask(client, "gabrielagabriela7")
    assert (weak["score"] < 3, weak["label"]) == (True, "Easy to guess.")
    assert weak["advice"].endswith("Add another word or two, uncommon ones.")
    # What the form refuses scores nothing.
    short = ask(client, "xK9#pQ2!vB7")
    assert (short["score"], short["advice"]) == (0, "Use at least 12 characters.")
    assert "attackers try first" in ask(client, "PassWord1234")["advice"]
    # A person's own words make it weaker.
    words = ["other", "Mallory.Fzwq@example.org"]
    without, told = (ask(client, "malloryfzwq.7781", word=own)["score"] for own in ([], words))
    assert told < without


@pytest.mark.django_db
def test_it_is_never_logged_and_needs_a_csrf_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    assert ask(Client(), GOOD)["score"] == 4
    assert Client(enforce_csrf_checks=True).post(URL, {"password": GOOD}).status_code == 403
    assert Client().get(URL).status_code == 405
    assert GOOD not in caplog.text


@pytest.mark.django_db
def test_only_so_many_are_measured_for_one_subscriber(client: Client) -> None:
    answers = [client.post(URL, {"password": "short"}).status_code for _ in range(22)]

    assert answers[:20] == [200] * 20
    assert answers[-1] == 429


def test_only_the_first_72_characters_are_measured_and_they_take_no_second() -> None:
    begun = time.process_time()
    assert measure(WORST + WORST * 1000).score == 4
    assert time.process_time() - begun < 2


def test_only_one_is_measured_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength, "WAIT_SECONDS", 0.01)

    with strength._measuring, pytest.raises(strength.Busy):
        measure(GOOD)

    assert measure(GOOD).score == 4


def test_every_advice_is_in_our_own_words() -> None:
    ours = {str(text) for _, text in (*strength.WARNINGS, *strength.SUGGESTIONS)}
    ours |= {"Add another word or two, uncommon ones."}
    pieces = ("abc", "1990", "qwerty", "AAAA", "p4ssw0rd", "drowssap", "Maria", "Smith", "teapot")
    advices = {measure("".join(three)).advice for three in itertools.product(pieces, repeat=3)}
    heard = {f"{part}." for advice in advices for part in advice.rstrip(".").split(". ") if part}

    assert heard <= ours | {
        "It is one that attackers try first.",
        "Choose another one.",
        "Use at least 12 characters.",
    }
    assert len(heard) >= 8


@pytest.mark.django_db
def test_only_pages_with_a_meter_may_ask_by_script(client: Client) -> None:
    assert "connect-src" not in client.get("/accounts/login/")["Content-Security-Policy"]
    assert "connect-src 'self'" in client.get(SIGNUP)["Content-Security-Policy"]
    signed_in(create_administrator("carol", "carol@example.org", hash_password(GOOD)), client)

    answer = client.get("/accounts/password/change/")

    assert '<div class="strength" hidden data-strength=' in answer.text, "until scripts show it"
    assert "connect-src 'self'" in answer["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in answer["Content-Security-Policy"]


@pytest.mark.browser
def test_the_meter_follows_what_is_typed_and_hides_without_an_answer(
    open_page: OpenPage, site: Site
) -> None:
    page = open_page(site, expect=(429,))
    page.goto(SIGNUP, wait_until="networkidle")
    field = page.get_by_label("Password", exact=True)
    meter = page.get_by_label("Strength of the password")
    expect(meter).to_be_hidden()

    field.press_sequentially("PassWord1234", delay=5)
    expect(page.locator(".strength [role=status]")).to_contain_text("attackers try first")
    assert meter.evaluate("meter => meter.value") == 0
    field.fill(GOOD)
    expect(page.locator(".strength [role=status]")).to_have_text("Very good. ")
    assert meter.evaluate("meter => meter.value") == 4
    expect(field).to_have_accessible_description(
        "At least 12 characters. A few words that don’t belong together do well. Very good."
    )
    assert axe(page) == []
    field.fill("")
    expect(meter).to_be_hidden()
    field.fill(GOOD)
    expect(meter).to_be_visible()

    page.route("**/strength/", lambda route: route.fulfill(status=429))
    with page.expect_response("**/strength/"):
        field.press_sequentially("!")
    expect(meter).to_be_hidden()
