"""Passkeys: what is asked for, and what is answered and signed."""

import json
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.test import Client
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from accounts.sessions.models import BrowserSession, LoginSession
from accounts.twofactor.models import Passkey as Row
from accounts.twofactor.models import SpentChallenge
from accounts.users import services as users
from tests.attacks.passkey_steps import (
    REAUTHENTICATE,
    asked,
    enters,
    half_way,
    happened,
    owner,
    passkeys_of,
    person,
    set_up,
    show,
    takes,
)
from tests.conftest import Clock
from tests.support.second import CHALLENGE, enrolled
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


def test_a_passkey_signs_in_alone_and_no_code_is_asked_for() -> None:
    alice, passkey = owner()
    enrolled(alice)

    assert enters(passkey)

    login = LoginSession.objects.get(user=alice)
    assert (login.amr, login.acr) == (["passkey"], "aal2")


def test_who_only_looks_at_the_sign_in_page_or_fails_there_leaves_no_row_and_gets_no_session(
    django_assert_num_queries: Any,
) -> None:
    _alice, passkey = owner()
    browser = Client()
    with django_assert_num_queries(0):
        options = asked(browser)
    assert set(browser.cookies) == {"csrftoken"}
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials"), "it would tell who has a passkey"

    show(browser, passkey.get(options, origin="https://evil.example"))

    assert "sessionid" not in browser.cookies
    assert [t.objects.count() for t in (BrowserSession, SpentChallenge)] == [0, 0]
    assert browser.get(f"{LOGIN_PASSKEY}?next=/help/").url == f"{LOGIN}?next=/help/"


def test_cve_2022_42731_a_challenge_is_good_once(clock: Clock) -> None:
    alice, passkey = owner()
    browser = Client()
    answer = passkey.get(asked(browser))
    show(browser, answer)
    assert is_signed_in(browser)
    thief = Client()
    show(thief, answer)
    assert not is_signed_in(thief)

    browser = half_way()
    answer = passkey.get(asked(browser, CHALLENGE))
    assert takes(browser, answer)
    assert not takes(half_way(), answer)

    answer = passkey.get(asked(browser, REAUTHENTICATE))
    clock.advance(minutes=4)
    assert show(browser, answer, REAUTHENTICATE).status_code == 302
    assert show(browser, answer, REAUTHENTICATE).status_code == 200
    assert happened(alice, "proof_given") == 1


def test_a_challenge_is_good_for_five_minutes(clock: Clock) -> None:
    _alice, passkey = owner()
    in_time, late = Client(), Client()
    answers = [passkey.get(asked(in_time)), passkey.get(asked(late))]

    clock.advance(seconds=299)
    show(in_time, answers[0])
    clock.advance(seconds=1)
    show(late, answers[1])

    assert is_signed_in(in_time)
    assert not is_signed_in(late)


def test_a_challenge_of_one_act_is_worth_nothing_for_another() -> None:
    alice, passkey = owner()
    _bob, bobs = owner("bob")
    inside = signed_in(alice)
    for_login = asked(Client())
    for_second = asked(half_way(), CHALLENGE)
    for_bob = asked(half_way("bob"), CHALLENGE)
    for_adding = {**for_login, "challenge": asked(inside, ADD)["challenge"]}

    for options in (for_second, for_bob, for_adding):
        browser = Client()
        show(browser, passkey.get(options))
        assert not is_signed_in(browser)
    for options in (for_login, for_bob, for_adding):
        assert not takes(half_way(), passkey.get(options))
    for options in (for_login, for_second, for_bob):
        new = Passkey()
        creation = {**asked(inside, ADD), "challenge": options["challenge"]}
        assert show(inside, new.create(creation), ADD).status_code == 200
        assert not Row.objects.filter(credential_id=new.id).exists()
    assert takes(half_way("bob"), bobs.get(for_bob)), "it was none of the challenges' fault"


def test_a_challenge_from_before_a_change_of_the_account_is_void() -> None:
    alice, passkey = owner()
    inside = signed_in(alice)
    for_second, for_adding = asked(half_way(), CHALLENGE), asked(inside, ADD)
    users.void_proofs(alice)

    assert not takes(half_way(), passkey.get(for_second))
    new = Passkey()
    assert show(inside, new.create(for_adding), ADD).status_code == 200
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


def test_what_was_signed_elsewhere_or_for_something_else_is_refused(settings: Any) -> None:
    set_up(settings, limits_scale=1000)
    _alice, passkey = owner()
    browser = half_way()

    def is_second_step(**changes: Any) -> bool:
        return takes(browser, passkey.get(asked(browser, CHALLENGE), **changes))

    assert [wrong for wrong, changes in WRONG.items() if enters(passkey, **changes)] == []
    assert [wrong for wrong, changes in WRONG.items() if is_second_step(**changes)] == []
    assert enters(passkey)
    assert is_second_step()


def test_a_passkey_made_elsewhere_or_for_something_else_is_not_kept() -> None:
    alice = person()
    browser = signed_in(alice)
    kinds = {"a registration": {"kind": "webauthn.get"}}

    for changes in (WRONG | kinds).values():
        show(browser, Passkey().create(asked(browser, ADD), **changes), ADD)

    assert passkeys_of(alice) == []
    assert show(browser, Passkey().create(asked(browser, ADD)), ADD).status_code == 302


@pytest.mark.parametrize("counts", [False, True], ids=["synced", "security key"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "from before"])
def test_a_passkey_whose_eligibility_for_backup_changes_is_refused(
    counts: bool, is_new: bool
) -> None:
    """A passkey from before its eligibility was stored has that of its first use since."""
    if is_new:
        alice, passkey = person(), Passkey(counts=counts)
        browser = signed_in(alice)
        show(browser, passkey.create(asked(browser, ADD)), ADD)
    else:
        alice, passkey = owner(counts=counts)
        assert enters(passkey)

    assert not enters(passkey, flags=(PRESENT | VERIFIED | ELIGIBLE) ^ (passkey.flags & ELIGIBLE))
    assert [happened(alice, kind) for kind in ("sign_in_failed", "passkey_suspect")] == [1, 0]
    assert enters(passkey)


def test_a_passkey_whose_user_was_not_verified_is_a_second_step_and_no_sign_in() -> None:
    alice, passkey = owner()
    unverified = PRESENT | ELIGIBLE

    assert not enters(passkey, flags=unverified)
    assert happened(alice, "sign_in_failed") == 1
    browser = half_way()
    assert takes(browser, passkey.get(asked(browser, CHALLENGE), flags=unverified))


def test_a_signature_covers_all_that_was_said() -> None:
    _alice, passkey = owner()
    unverified = passkey.get(asked(Client()), flags=PRESENT | ELIGIBLE)
    head = bytearray(base64url_to_bytes(json.loads(unverified)["response"]["authenticatorData"]))
    head[32] |= VERIFIED
    foreign = passkey.get(asked(Client()), origin="https://evil.example")
    said = base64url_to_bytes(json.loads(foreign)["response"]["clientDataJSON"])
    ours = said.replace(b"https://evil.example", ORIGIN.encode())
    other = Passkey(credential_id=passkey.raw_id)

    forgeries = [
        (unverified, {"authenticatorData": bytes_to_base64url(bytes(head))}),
        (foreign, {"clientDataJSON": bytes_to_base64url(ours)}),
        (passkey.get(asked(Client())), {"signature": ""}),
        (other.get(asked(Client())), {}),
    ]
    for answer, changes in forgeries:
        sent = json.loads(answer)
        sent["response"] |= changes
        browser = Client()
        show(browser, json.dumps(sent))
        assert not is_signed_in(browser)


def test_somebody_elses_passkey_is_neither_a_second_step_nor_a_fresh_proof(clock: Clock) -> None:
    alice, _passkey = owner()
    _mallory, hers = owner("mallory")
    browser = half_way()

    assert not takes(browser, hers.get(asked(browser, CHALLENGE)))
    inside = signed_in(alice)
    assert show(inside, hers.get(asked(inside, REAUTHENTICATE)), REAUTHENTICATE).status_code == 200
    assert [happened(alice, kind) for kind in ("factor_failed", "proof_failed")] == [1, 1]
    assert happened(alice, "proof_given") == 0


def test_a_passkey_is_its_owners_whatever_user_handle_comes_with_it() -> None:
    alice, _passkey = owner()
    mallory, hers = owner("mallory")
    browser = Client()
    handle = {"userHandle": bytes_to_base64url(alice.pk.bytes)}

    show(browser, hers.get(asked(browser), response=handle))

    assert not LoginSession.objects.filter(user=alice).exists()
    assert LoginSession.objects.filter(user=mallory).count() == is_signed_in(browser)
