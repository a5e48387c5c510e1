"""Attacks on passkeys: on their challenges, and on what is answered and signed."""

import json
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.test import Client
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from accounts.codes.models import UsedOnce
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.twofactor.models import Passkey as Row
from accounts.users import services as users
from tests.support.clock import Clock
from tests.support.passkeys import (
    REAUTHENTICATE,
    after_password,
    completes_sign_in,
    options_of,
    owner,
    passkeys_of,
    person,
    post_credential,
    set_up,
    signs_in,
    times_in_history,
)
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, is_signed_in
from tests.support.webauthn import (
    ADD,
    BACKED_UP,
    ELIGIBLE,
    LOGIN_PASSKEY,
    PRESENT,
    VERIFIED,
    Passkey,
)

pytestmark = pytest.mark.django_db

ORIGIN = site_settings.AUTHSITE.origin


def test_a_passkey_signs_in_without_a_second_step() -> None:
    alice, passkey = owner()
    enrolled(alice)

    assert signs_in(passkey)

    login = LoginSession.objects.get(user=alice)
    assert (login.amr, login.acr) == (["passkey"], "aal2")


def test_viewing_or_failing_the_passkey_sign_in_creates_no_row_and_no_session(
    django_assert_num_queries: Any,
) -> None:
    _alice, passkey = owner()
    browser = Client()
    with django_assert_num_queries(0):
        options = options_of(browser)
    assert set(browser.cookies) == {"csrftoken"}
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials"), "a list would reveal who has a passkey"

    post_credential(browser, passkey.get(options, origin="https://evil.example"))

    assert "sessionid" not in browser.cookies
    assert [t.objects.count() for t in (BrowserSession, UsedOnce)] == [0, 0]
    assert browser.get(f"{LOGIN_PASSKEY}?next=/help/").url == f"{LOGIN}?next=/help/"


def test_cve_2022_42731_a_passkey_challenge_works_once(clock: Clock) -> None:
    alice, passkey = owner()
    browser = Client()
    answer = passkey.get(options_of(browser))
    post_credential(browser, answer)
    assert is_signed_in(browser)
    thief = Client()
    post_credential(thief, answer)
    assert not is_signed_in(thief)

    browser = after_password()
    answer = passkey.get(options_of(browser, CHALLENGE))
    assert completes_sign_in(browser, answer)
    assert not completes_sign_in(after_password(), answer)

    answer = passkey.get(options_of(browser, REAUTHENTICATE))
    clock.advance(minutes=4)
    assert post_credential(browser, answer, REAUTHENTICATE).status_code == 302
    assert post_credential(browser, answer, REAUTHENTICATE).status_code == 200
    assert times_in_history(alice, "proof_given") == 1


def test_a_passkey_challenge_is_valid_for_five_minutes(clock: Clock) -> None:
    _alice, passkey = owner()
    in_time, late = Client(), Client()
    answers = [passkey.get(options_of(in_time)), passkey.get(options_of(late))]

    clock.advance(seconds=299)
    post_credential(in_time, answers[0])
    clock.advance(seconds=1)
    post_credential(late, answers[1])

    assert is_signed_in(in_time)
    assert not is_signed_in(late)


def test_a_passkey_challenge_works_only_for_its_own_purpose_and_user() -> None:
    alice, passkey = owner()
    _bob, bobs = owner("bob")
    session = signed_in(alice)
    for_login = options_of(Client())
    for_second = options_of(after_password(), CHALLENGE)
    for_bob = options_of(after_password("bob"), CHALLENGE)
    for_adding = {**for_login, "challenge": options_of(session, ADD)["challenge"]}

    for options in (for_second, for_bob, for_adding):
        browser = Client()
        post_credential(browser, passkey.get(options))
        assert not is_signed_in(browser)
    for options in (for_login, for_bob, for_adding):
        assert not completes_sign_in(after_password(), passkey.get(options))
    for options in (for_login, for_second, for_bob):
        new = Passkey()
        creation = {**options_of(session, ADD), "challenge": options["challenge"]}
        assert post_credential(session, new.create(creation), ADD).status_code == 200
        assert not Row.objects.filter(credential_id=new.id).exists()
    assert completes_sign_in(after_password("bob"), bobs.get(for_bob)), (
        "the challenge is valid for its own purpose"
    )


def test_a_passkey_challenge_is_invalid_after_a_change_of_the_account() -> None:
    alice, passkey = owner()
    session = signed_in(alice)
    for_second, for_adding = options_of(after_password(), CHALLENGE), options_of(session, ADD)
    users.void_proofs_and_links(alice)

    assert not completes_sign_in(after_password(), passkey.get(for_second))
    new = Passkey()
    assert post_credential(session, new.create(for_adding), ADD).status_code == 200
    assert not Row.objects.filter(credential_id=new.id).exists()


WRONG: dict[str, dict[str, Any]] = {
    "a foreign origin": {"origin": "https://evil.example"},
    "a host that begins like ours": {"origin": f"{ORIGIN}.evil.example"},
    "a host below ours": {"origin": ORIGIN.replace("://", "://www.")},
    "another port": {"origin": f"{ORIGIN}1"},
    "no origin": {"client": {"origin": None}},
    "another relying party": {"rp_id": "evil.example"},
    "a registration": {"kind": "webauthn.create"},
    "a page framed by another origin": {"client": {"crossOrigin": True}},
    "a page framed by a named origin": {"client": {"topOrigin": "https://evil.example"}},
    "nobody present": {"flags": VERIFIED},
    "backed up, yet never eligible": {"flags": PRESENT | VERIFIED | BACKED_UP},
}


def test_an_answer_signed_for_another_site_or_purpose_is_refused(settings: Any) -> None:
    set_up(settings, limits_scale=1000)
    _alice, passkey = owner()
    browser = after_password()

    def is_second_step(**changes: Any) -> bool:
        return completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE), **changes))

    assert [wrong for wrong, changes in WRONG.items() if signs_in(passkey, **changes)] == []
    assert [wrong for wrong, changes in WRONG.items() if is_second_step(**changes)] == []
    assert signs_in(passkey)
    assert is_second_step()


def test_a_passkey_works_at_the_listed_origins_and_the_site_names_them(settings: Any) -> None:
    further = "https://shop.example.org"
    _alice, passkey = owner()
    assert not signs_in(passkey, origin=further)

    set_up(settings, passkey_origins=(further,))

    assert Client().get("/.well-known/webauthn").json() == {"origins": [ORIGIN, further]}
    assert signs_in(passkey, origin=further)
    assert signs_in(passkey)
    assert not signs_in(passkey, origin=f"{further}.evil.example")


def test_a_passkey_made_for_another_site_or_purpose_is_refused() -> None:
    alice = person()
    browser = signed_in(alice)
    kinds = {"a registration": {"kind": "webauthn.get"}}

    for changes in (WRONG | kinds).values():
        post_credential(browser, Passkey().create(options_of(browser, ADD), **changes), ADD)

    assert passkeys_of(alice) == []
    assert (
        post_credential(browser, Passkey().create(options_of(browser, ADD)), ADD).status_code == 302
    )


@pytest.mark.parametrize("counts", [False, True], ids=["synced", "security key"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "from before"])
def test_a_passkey_whose_eligibility_for_backup_changes_is_refused(
    counts: bool, is_new: bool
) -> None:
    """A passkey stored without its eligibility gets it at its next use."""
    if is_new:
        alice, passkey = person(), Passkey(counts=counts)
        browser = signed_in(alice)
        post_credential(browser, passkey.create(options_of(browser, ADD)), ADD)
    else:
        alice, passkey = owner(counts=counts)
        assert signs_in(passkey)

    assert not signs_in(passkey, flags=(PRESENT | VERIFIED | ELIGIBLE) ^ (passkey.flags & ELIGIBLE))
    assert [times_in_history(alice, kind) for kind in ("sign_in_failed", "passkey_suspect")] == [
        1,
        0,
    ]
    assert signs_in(passkey)


def test_a_passkey_without_user_verification_is_only_a_second_step() -> None:
    alice, passkey = owner()
    unverified = PRESENT | ELIGIBLE

    assert not signs_in(passkey, flags=unverified)
    assert times_in_history(alice, "sign_in_failed") == 1
    browser = after_password()
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE), flags=unverified))


def test_the_signature_covers_the_whole_answer() -> None:
    _alice, passkey = owner()
    unverified = passkey.get(options_of(Client()), flags=PRESENT | ELIGIBLE)
    head = bytearray(base64url_to_bytes(json.loads(unverified)["response"]["authenticatorData"]))
    head[32] |= VERIFIED
    foreign = passkey.get(options_of(Client()), origin="https://evil.example")
    said = base64url_to_bytes(json.loads(foreign)["response"]["clientDataJSON"])
    ours = said.replace(b"https://evil.example", ORIGIN.encode())
    other = Passkey(credential_id=passkey.raw_id)

    forgeries = [
        (unverified, {"authenticatorData": bytes_to_base64url(bytes(head))}),
        (foreign, {"clientDataJSON": bytes_to_base64url(ours)}),
        (passkey.get(options_of(Client())), {"signature": ""}),
        (other.get(options_of(Client())), {}),
    ]
    for answer, changes in forgeries:
        sent = json.loads(answer)
        sent["response"] |= changes
        browser = Client()
        post_credential(browser, json.dumps(sent))
        assert not is_signed_in(browser)


def test_another_users_passkey_is_neither_a_second_step_nor_a_reauthentication(
    clock: Clock,
) -> None:
    alice, _passkey = owner()
    _mallory, hers = owner("mallory")
    browser = after_password()

    assert not completes_sign_in(browser, hers.get(options_of(browser, CHALLENGE)))
    session = signed_in(alice)
    assert (
        post_credential(
            session, hers.get(options_of(session, REAUTHENTICATE)), REAUTHENTICATE
        ).status_code
        == 200
    )
    assert [times_in_history(alice, kind) for kind in ("factor_failed", "proof_failed")] == [1, 1]
    assert times_in_history(alice, "proof_given") == 0


def test_a_user_handle_does_not_change_which_account_a_passkey_opens() -> None:
    alice, _passkey = owner()
    mallory, hers = owner("mallory")
    browser = Client()
    handle = {"userHandle": bytes_to_base64url(alice.pk.bytes)}

    post_credential(browser, hers.get(options_of(browser), response=handle))

    assert not LoginSession.objects.filter(user=alice).exists()
    assert LoginSession.objects.filter(user=mallory).count() == is_signed_in(browser)
