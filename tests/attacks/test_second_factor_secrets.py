"""Seeds and recovery codes are readable in no row and on no page after they were shown."""

import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.fernet import InvalidToken

from accounts.codes.models import Code
from accounts.sessions.models import BrowserSession
from accounts.twofactor.models import CODES_PURPOSE, Authenticator, RecoveryCodes
from tests.support.clock import Clock
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
    shown_on,
)
from tests.support.second_steps import (
    after_password,
    mails_about,
    new_recovery_codes,
    staff,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import make_user, path_of, sign_in
from tests.support.stored import encodings_of_seed, everything_stored
from tests.support.urls import ROUTES, address

pytestmark = pytest.mark.django_db


def spellings_of_codes(codes: list[str]) -> set[bytes]:
    """Return the spellings of recovery codes and their digests without a salt."""
    bare = [code.replace("-", "") for code in codes]
    digests = [sha256(code.encode()).hexdigest() for code in [*codes, *bare]]
    return {text.encode() for text in [*codes, *bare, *digests]}


def salted_digests(user: Any) -> set[bytes]:
    """Return the salt and the digests that the site compares with, which are encrypted, too."""
    from accounts.common import crypto

    stored = json.loads(crypto.unseal(RecoveryCodes.objects.get(user=user).sealed, CODES_PURPOSE))
    return {text.encode() for text in [stored["salt"], *stored["digests"]]}


def test_no_database_row_contains_a_seed_a_recovery_code_or_its_digest() -> None:
    carol = staff()
    browser = after_password("carol")
    seed = seed_on(browser.get(SETUP).text)
    while_enrolling = everything_stored()
    browser.post(SETUP, {"code": code_of(seed)})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    while_shown = everything_stored()
    browser.post(RECOVERY_CODES, {"code": codes[0]})
    afterwards = everything_stored()
    assert len(codes) == 10

    hidden = encodings_of_seed(seed) | spellings_of_codes(codes) | salted_digests(carol)
    assert b"carol" in while_enrolling
    for dump in (while_enrolling, while_shown, afterwards):
        assert [text for text in hidden if text in dump] == []


def test_a_value_encrypted_for_one_purpose_cannot_be_decrypted_for_another() -> None:
    from accounts.common import crypto

    alice, seed = with_factor()
    sealed = Authenticator.objects.get(user=alice).sealed_seed
    assert crypto.unseal(sealed, "totp.seed") == seed

    for purpose in (CODES_PURPOSE, "totp_seed", "recovery_codes", "mail"):
        with pytest.raises(InvalidToken):
            crypto.unseal(sealed, purpose)


def test_11_3_no_admin_page_shows_a_seed_a_digest_or_a_code() -> None:
    from django.contrib import admin

    tables = {model.__name__ for site in admin.sites.all_sites for model in site._registry}
    assert tables == {"User", "Group", "Invitation", "DailyCount", "Client", "RegistrationToken"}
    alice, seed = with_factor()
    codes = new_recovery_codes(alice)
    after_password().post(CHALLENGE, {"lost": "ask"})
    link = path_of(mails_about("remove your second factors")[-1].action_url)
    carol = staff()
    browser = signed_in(carol)
    rows = [
        *(Authenticator.objects.values_list("sealed_seed", flat=True)),
        *(RecoveryCodes.objects.values_list("sealed", flat=True)),
        *(Code.objects.values_list("digest", flat=True)),
        *(BrowserSession.objects.values_list("session_key", flat=True)),
        alice.password,
        alice.password.rpartition("$")[2],
    ]
    hidden = encodings_of_seed(seed) | spellings_of_codes(codes) | salted_digests(alice)
    hidden |= {row.encode() for row in rows} | {link.rstrip("/").rpartition("/")[2].encode()}

    pages = [address(route) for route in ROUTES if route.startswith("admin/")]
    pages += [
        f"/admin/accounts/user/{user.pk}/{page}/"
        for user in (alice, carol)
        for page in ("change", "history", "delete")
    ]
    shown = [browser.get(page, follow=True).content for page in pages]
    shown.append(browser.get("/admin/accounts/user/", {"q": "alice"}).content)

    assert sum(b"alice" in page for page in shown) >= 3
    for page in shown:
        assert [text for text in hidden if text in page] == []


def test_recovery_codes_are_shown_once_and_to_no_other_user() -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    page = browser.get(RECOVERY_CODES).text
    codes, shown = recovery_codes_on(page), {"shown": shown_on(page)}
    alice.refresh_from_db()
    elsewhere, mallory = signed_in(alice), signed_in(make_user("mallory"))

    for other in (browser, elsewhere, mallory):
        assert recovery_codes_on(other.get(RECOVERY_CODES, follow=True).text) == []
        assert codes[0] not in other.post(f"{RECOVERY_CODES}file/", follow=True).text
    for forged in (shown, {"shown": "forged"}, {"shown": "\xe9\0"}, {"shown": shown["shown"][:-9]}):
        answer = mallory.post(RECOVERY_CODES, {"code": "", **forged}, follow=True)
        assert recovery_codes_on(answer.text) == [], forged
        assert codes[0] not in mallory.post(f"{RECOVERY_CODES}file/", forged, follow=True).text
    browser.post("/accounts/logout/")
    sign_in(browser, "mallory")
    assert recovery_codes_on(browser.get(RECOVERY_CODES, follow=True).text) == []


def test_the_codes_of_a_page_that_was_left_open_are_not_downloaded_later(clock: Clock) -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    shown = {"shown": shown_on(browser.get(RECOVERY_CODES).text)}
    clock.advance(minutes=15)

    assert browser.post(f"{RECOVERY_CODES}file/", shown).status_code == 302
