"""System 7, two-factor sign-in: enrolment, recovery codes, and who must have a factor.

Rows 3 to 5 are attacks: a password alone, codes used twice, guesses. They are in
``tests/attacks/test_second_factor_*``.
"""

import base64
import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.authenticator import shown
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    confirm_recovery_codes,
    enrolled,
    recovery_codes_on,
    seed_on,
    set_up_authenticator,
    shown_on,
    unused_code,
)
from tests.support.standards import proves
from tests.support.steps import is_signed_in, make_staff, make_user, sign_in, sign_in_twice
from tests.support.stored import encodings_of_seed

OVERVIEW = "/accounts/2fa/"


def uri_on(page):
    """Return the link that opens an authenticator app on the same device."""
    (link,) = re.findall(r'href="(otpauth:[^"]*)"', page)
    return html.unescape(link)


ISSUERS = {
    "Büro: Süd": "B%C3%BCro%20S%C3%BCd",  # a colon separates the issuer from the account
    "100% #1/?": "100%25%20%231%2F%3F",
}


@pytest.mark.parametrize("name, encoded", ISSUERS.items())
def test_7_1_the_otpauth_uri_is_exact_and_percent_encoded(client, alice, configure, name, encoded):
    configure(site_name=name)
    User.objects.update(email="al?ce+&%@example.org")

    page = client.get(SETUP).text

    key = base64.b32encode(bytes.fromhex(seed_on(page))).decode()
    assert uri_on(page) == (
        f"otpauth://totp/{encoded}:al%3Fce%2B%26%25@example.org"
        f"?secret={key}&issuer={encoded}&algorithm=SHA1&digits=6&period=30"
    )
    assert re.fullmatch(r"[A-Z2-7]{32}", key), "160 bits (RFC 4226 section 4, R6), unpadded"


def test_7_1_an_app_that_computes_codes_from_the_secret_signs_in(client, alice, clock):
    page = client.get(SETUP)
    assert "no-store" in page["Cache-Control"]
    assert not re.findall(r"<img|url\(|data:", page.text), "the QR code is part of the page"
    (secret,) = parse_qs(urlsplit(uri_on(page.text)).query)["secret"]
    answer = client.post(SETUP, {"code": shown(secret, clock.now().timestamp())})

    assert answer.url == RECOVERY_CODES
    clock.advance(seconds=30)
    browser = Client()
    assert sign_in(browser, "alice").url == CHALLENGE
    code = shown(secret, clock.now().timestamp())
    assert browser.post(CHALLENGE, {"code": code}).url == "/"
    assert is_signed_in(browser)


def test_7_1_the_seed_is_shown_only_while_enrolling(client, alice):
    seed = seed_on(client.get(SETUP).text)
    client.post(SETUP, {"code": code_of(seed)})
    confirm_recovery_codes(client)

    number = alice.authenticator_set.get().pk
    pages = ["/", OVERVIEW, SETUP, RECOVERY_CODES, f"{OVERVIEW}totp/{number}/"]
    for path in pages:
        page = client.get(path)
        assert page.status_code == 200, path
        shown = page.content.replace(b" ", b"")
        assert not [text for text in encodings_of_seed(seed) if text in shown], path
    assert seed_on(client.get(SETUP).text) != seed, "a second app gets a seed of its own"


FILE = f"{RECOVERY_CODES}file/"


@proves("63B-2.1")
def test_7_2_a_code_enables_the_app_and_recovery_codes_are_shown_once_and_one_is_entered(
    client, alice
):
    seed = seed_on(client.get(SETUP).text)
    client.post(SETUP, {"code": code_of(seed, 5000)})
    assert sign_in(Client(), "alice").url == "/", "a wrong code enables nothing"
    page = client.get(set_up_authenticator(client).url).text
    made, shown = recovery_codes_on(page), {"shown": shown_on(page)}
    assert sign_in(Client(), "alice").url == CHALLENGE
    assert len(set(made)) == 10
    file = client.post(FILE, shown)
    assert file.text.split("\r\n")[2:12] == made
    assert "attachment" in file["Content-Disposition"]
    assert client.get(FILE).status_code == 405, "a link would be stored in the browser history"

    for typed in ("", "aaaaa-aaaaa", unused_code(alice)):
        again = client.post(RECOVERY_CODES, {"code": typed, **shown}).text
        assert recovery_codes_on(again) == made, "none of them was entered"
    assert "Save recovery codes" in client.get("/").text, "the home page asks for it"
    assert recovery_codes_on(client.get(RECOVERY_CODES).text) == [], "they are shown once"

    assert client.post(RECOVERY_CODES, {"code": f" {made[3].upper()} "}).url == OVERVIEW
    assert "Save recovery codes" not in client.get("/").text

    assert set_up_authenticator(client, name="Tablet").url == OVERVIEW, "it gets no new codes"
    assert "10 of 10 codes left" in client.get(OVERVIEW).text, "the entered code stays valid"


MUST_ENROL = [
    *(("optional", "alice", False), ("optional", "carol", False)),
    *(("staff", "alice", False), ("staff", "carol", True)),
    *(("all", "alice", True), ("all", "carol", True)),
]


@proves("V6.3.3")
@pytest.mark.parametrize("required_for, who, must", MUST_ENROL)
def test_7_7_a_required_factor_is_enrolled_at_sign_in_and_asked_for_afterwards(
    client, configure, required_for, who, must
):
    configure(second_factor=required_for)
    make_user("alice")
    make_staff("carol", has_factor=False)

    answer = sign_in(client, who)

    assert answer.url == (SETUP if must else "/")
    assert is_signed_in(client) is not must
    if must:
        for path in ("/", RECOVERY_CODES, "/accounts/profile/", "/admin/"):
            assert "/login/" in client.get(path).url, path
        assert sign_in(client, who).url == SETUP, "another sign-in leads there again"
        set_up_authenticator(client)
        assert is_signed_in(client)
    else:
        enrolled(User.objects.get(username=who))
    assert sign_in(Client(), who).url == CHALLENGE


@pytest.mark.parametrize("required_for", ["optional", "staff", "all"])
def test_7_7_the_last_factor_cannot_be_removed_where_one_is_required(
    client, configure, required_for
):
    configure(second_factor=required_for)
    carol = make_staff("carol")
    sign_in_twice(client, carol)
    page = f"/accounts/2fa/totp/{carol.authenticator_set.get().pk}/"

    client.post(page, {"remove": "1"})

    stays = required_for != "optional"
    assert carol.authenticator_set.exists() is stays
    assert sign_in(Client(), "carol").url == (CHALLENGE if stays else "/")
