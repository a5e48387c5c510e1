"""Whatever is sent in place of a passkey's answer is refused, and never a fault."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.twofactor.passkeys import options_to_sign_in
from tests.attacks.passkey_answers import BODIES, Make, around, cut, keys, statements
from tests.attacks.passkey_steps import (
    REAUTHENTICATE,
    asked,
    enters,
    half_way,
    owner,
    passkeys_of,
    person,
    set_up,
    show,
)
from tests.support.second import CHALLENGE
from tests.support.signin import signed_in
from tests.support.webauthn import ADD, LOGIN_PASSKEY, Passkey

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def without_limits(settings: Any) -> None:
    set_up(settings, limits_scale=100_000)


def assertions(make: Make) -> Iterator[str]:
    """Bad ones. The passkey is the account's and each challenge is good: little else is."""
    yield from chain(BODIES, around(make))
    for field in ("authenticatorData", "signature", "clientDataJSON"):
        yield from cut(make, field)


def registrations(make: Make) -> Iterator[str]:
    """The same of a new passkey."""
    yield from chain(BODIES, around(make), cut(make, "attestationObject"))


def sent(browser: Client, page: str, credentials: Iterator[str]) -> list[tuple[int, str]]:
    """What was answered otherwise than by the page itself, with some problem on it."""
    browser.raise_request_exception = False
    odd = []
    for credential in credentials:
        answer = show(browser, credential, page)
        if answer.status_code != 200 and not 400 <= answer.status_code < 500:
            odd.append((answer.status_code, credential))
        if answer.status_code == 302 and page != REAUTHENTICATE:
            browser.cookies.clear()
    return odd


def altered(answers: list[tuple[int, str]], *harmless: str) -> list[str]:
    """Those answers whose signed parts, or id, are not what an authenticator has made."""
    found = []
    for _status, text in answers:
        whole = json.loads(text)
        names = {*whole, *whole["response"]}
        found += [text] if not {"id", "rawId", "type", *harmless} <= names else []
    return found


def test_no_answer_out_of_shape_is_a_fault() -> None:
    alice, passkey = owner()

    def make() -> str:
        return passkey.get(options_to_sign_in(), response={"userHandle": ""})

    odd = sent(Client(), LOGIN_PASSKEY, assertions(make))

    # What nobody needs to read, as the attachment, may be odd: then it is an answer like others.
    assert {status for status, _text in odd} == {302}
    assert altered(odd, "clientDataJSON", "authenticatorData", "signature") == []
    assert len(odd) < len(list(assertions(make))) / 4
    assert passkeys_of(alice) == [passkey.id]


@pytest.mark.parametrize("page", [CHALLENGE, REAUTHENTICATE])
def test_no_answer_out_of_shape_is_a_fault_at_the_second_step_or_the_proof(page: str) -> None:
    alice, passkey = owner()
    browser = half_way() if page == CHALLENGE else signed_in(alice)
    options = asked(browser, page)

    # All of them, at a door that reads them the same way, are sent above.
    odd = sent(browser, page, islice(assertions(lambda: passkey.get(options)), 0, None, 4))

    assert [text for status, text in odd if status >= 500] == []


def test_no_registration_out_of_shape_is_kept_or_a_fault() -> None:
    alice = person()
    browser = signed_in(alice)
    key = Passkey()
    options = asked(browser, ADD)

    bad = registrations(lambda: key.create(options, rp_id="evil.example"))
    assert sent(browser, ADD, chain(bad, statements(key, {**options, "rp": {"id": "x"}}))) == []
    assert sent(browser, ADD, keys(key, options)) == []

    assert passkeys_of(alice) == []


def test_no_attestation_that_is_none_is_a_fault() -> None:
    browser = signed_in(person())
    browser.raise_request_exception = False
    key = Passkey()

    for text in statements(key, asked(browser, ADD)):
        assert show(browser, text, ADD).status_code < 500, text[:300]


def test_a_credential_id_longer_than_any_is_not_kept() -> None:
    alice = person()
    browser = signed_in(alice)

    for size in (1024, 5000, 7000):
        long = Passkey(credential_id=b"a" * size)
        short = Passkey(credential_id=b"a")
        answers = [long.create(asked(browser, ADD))]
        # The short one is said, the long one is in what an authenticator signs.
        answers.append(answers[0].replace(long.id, short.id))
        for answer in answers:
            assert show(browser, answer, ADD).status_code == 200
    assert passkeys_of(alice) == []

    longest = Passkey(credential_id=b"a" * 1023)
    assert show(browser, longest.create(asked(browser, ADD)), ADD).status_code == 302
    assert enters(longest)


def test_names_out_of_shape_are_refused_with_the_passkey() -> None:
    alice = person()
    browser = signed_in(alice)

    for name in ("\0", "a" * 5000, "\u202e", "\x1b[2J", "\n"):
        answer = Passkey().create(asked(browser, ADD))
        shown = show(browser, answer, ADD, name=name)
        assert shown.status_code == (302 if not name.strip() else 200)
    assert len(passkeys_of(alice)) == 1


def test_an_id_that_is_markup_is_not_shown() -> None:
    evil = '"><script>alert(1)</script>'
    body = '{"id": %s, "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiJBIn0"}}'

    page = Client().post(LOGIN_PASSKEY, {"credential": body % f'"{evil[1:]}"'})

    assert page.status_code == 200
    assert "alert(1)" not in page.text
    assert not LoginSession.objects.exists()
