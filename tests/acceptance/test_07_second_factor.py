"""System 7: two-factor sign-in. Rows 1, 2, 4 and 5: enrolling, and what a code is worth."""

import base64
import html
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.users.models import User
from tests.acceptance.conftest import Set
from tests.conftest import Clock
from tests.support.authenticator import scan, shown
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    seed_on,
    type_one_back,
)
from tests.support.steps import is_signed_in, sign_in

pytestmark = pytest.mark.django_db

OVERVIEW = "/accounts/2fa/"


def written(seed: str) -> set[str]:
    """Every way in which a page could show a seed."""
    secret = bytes.fromhex(seed)
    key = base64.b32encode(secret).decode()
    groups = " ".join(key[n : n + 4] for n in range(0, len(key), 4))
    return {seed, key, groups, base64.b64encode(secret).decode()}


def uri_on(page: str) -> str:
    """The link that opens an app on the same device."""
    (link,) = re.findall(r'href="(otpauth:[^"]*)"', page)
    return html.unescape(link)


ISSUERS = {
    "authsite": "authsite",
    "Tea & Cake, Ltd.": "Tea%20%26%20Cake%2C%20Ltd.",
    "Büro: Süd": "B%C3%BCro%20S%C3%BCd",  # a colon would part issuer and account
    "100% #1/?": "100%25%20%231%2F%3F",
}


@pytest.mark.parametrize("name, encoded", ISSUERS.items())
def test_7_1_the_uri_is_exact_and_percent_encoded(
    client: Client, alice: User, configure: Set, name: str, encoded: str
) -> None:
    configure(site_name=name)

    page = client.get(SETUP).text

    key = base64.b32encode(bytes.fromhex(seed_on(page))).decode()
    assert uri_on(page) == (
        f"otpauth://totp/{encoded}:alice@example.org"
        f"?secret={key}&issuer={encoded}&algorithm=SHA1&digits=6&period=30"
    )
    assert re.fullmatch(r"[A-Z2-7]{32}", key), "160 bits (RFC 4226 section 4, R6), unpadded"


def test_7_1_an_account_is_percent_encoded_as_well(client: Client, alice: User) -> None:
    User.objects.update(email="al?ce+&%@example.org")

    path = urlsplit(uri_on(client.get(SETUP).text)).path

    assert path == "/authsite:al%3Fce%2B%26%25@example.org"


def test_7_1_a_scanner_reads_the_picture_and_an_authenticator_takes_it(
    client: Client, alice: User, clock: Clock, tmp_path: Path
) -> None:
    page = client.get(SETUP).text
    scanned = scan(page, tmp_path)
    assert scanned == uri_on(page)

    (secret,) = parse_qs(urlsplit(scanned).query)["secret"]
    answer = client.post(SETUP, {"code": shown(secret, clock.now().timestamp())})

    assert answer.url == RECOVERY_CODES
    clock.advance(seconds=30)
    browser = Client()
    assert sign_in(browser, "alice").url == CHALLENGE
    code = shown(secret, clock.now().timestamp())
    assert browser.post(CHALLENGE, {"code": code}).url == "/"
    assert is_signed_in(browser)


def test_7_1_the_page_with_the_picture_in_it_is_not_stored(client: Client, alice: User) -> None:
    for page in (client.get(SETUP), client.post(SETUP, {"code": "1"})):
        assert "no-store" in page["Cache-Control"]
        assert '<svg class="qr"' in page.text
        assert not re.findall(r"<img|url\(|data:", page.text), "no picture has its own address"


def test_7_1_the_seed_stays_while_enrolling_through_reloads_and_mistakes(
    client: Client, alice: User, clock: Clock
) -> None:
    seed = seed_on(client.get(SETUP).text)

    assert seed_on(client.get(SETUP).text) == seed
    assert seed_on(client.post(SETUP, {"code": code_of(seed, 4)}).text) == seed
    clock.advance(minutes=3)
    assert seed_on(client.get(SETUP).text) == seed
    assert client.post(SETUP, {"code": code_of(seed)}).url == RECOVERY_CODES


def test_7_1_another_sign_in_and_another_hour_are_shown_another_seed(
    client: Client, alice: User, clock: Clock
) -> None:
    other = Client()
    sign_in(other, "alice")
    seeds = [seed_on(browser.get(SETUP).text) for browser in (client, other)]
    clock.advance(minutes=59)
    for browser in (client, other):
        browser.post("/accounts/reauthenticate/", {"password": "vivid otter under glass"})
    seeds += [seed_on(browser.get(SETUP).text) for browser in (client, other)]
    assert len(set(seeds)) == 2
    clock.advance(minutes=1)

    late = client.post(SETUP, {"code": code_of(seeds[0])})

    assert seed_on(late.text) not in seeds
    assert not alice.authenticator_set.exists()


def test_7_1_the_seed_is_shown_while_enrolling_only_and_never_again(
    client: Client, alice: User
) -> None:
    seed = seed_on(client.get(SETUP).text)
    client.post(SETUP, {"code": code_of(seed)})
    type_one_back(client)

    number = alice.authenticator_set.get().pk
    pages = ["/", OVERVIEW, SETUP, RECOVERY_CODES, f"{OVERVIEW}totp/{number}/"]
    pages += ["/accounts/activity/", "/accounts/profile/", "/accounts/sessions/"]
    for path in pages:
        page = client.get(path)
        assert page.status_code == 200, path
        assert not [text for text in written(seed) if text in page.text], path
    assert seed_on(client.get(SETUP).text) != seed, "a second app gets a seed of its own"


def test_7_2_it_turns_on_only_after_a_confirmed_code(client: Client, alice: User) -> None:
    seed = seed_on(client.get(SETUP).text)
    assert sign_in(Client(), "alice").url == "/", "to be shown a key is not enough"

    refused = client.post(SETUP, {"code": code_of(seed, 5000)}).text
    assert "That code is not right" in refused
    assert sign_in(Client(), "alice").url == "/", "nor is a wrong code"

    client.post(SETUP, {"code": code_of(seed)})
    assert sign_in(Client(), "alice").url == CHALLENGE
