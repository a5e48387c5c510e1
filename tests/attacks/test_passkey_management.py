"""Attacks on the management of passkeys."""

import json
from typing import Any

import cbor2
from django.contrib.auth.hashers import make_password
from django.test import Client
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from accounts.activity.services import Actor
from accounts.twofactor import passkeys
from accounts.twofactor.errors import WrongPasskey
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.models import Passkey as Row
from accounts.users.models import User
from tests.support.passkeys import (
    add_passkey,
    completes_sign_in,
    options_of,
    owner,
    passkeys_of,
    person,
    post_credential,
    signs_in,
)
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.second_steps import after_password
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.webauthn import ADD, ATTESTED, PASSKEYS, PRESENT, VERIFIED, Passkey, registered


def test_a_passkey_cannot_be_added_twice_or_to_another_account():
    alice, passkey = owner()
    mallory = person("mallory")
    thief, session = signed_in(mallory), signed_in(alice)

    for browser, key in ((thief, Passkey(credential_id=passkey.raw_id)), (session, passkey)):
        answer = key.create(options_of(browser, ADD))
        assert post_credential(browser, answer, ADD).status_code == 200

    assert passkeys_of(alice) == [passkey.id]
    assert passkeys_of(mallory) == []
    assert not RecoveryCodes.objects.filter(user=mallory).exists()
    assert signs_in(passkey)


@proves("V2.3.2")
def test_the_number_of_passkeys_of_an_account_is_limited():
    alice = person()
    for _ in range(passkeys.MOST_PASSKEYS):
        registered(alice)
    browser = signed_in(alice)

    answer = add_passkey(browser)

    assert answer.status_code == 200
    assert len(passkeys_of(alice)) == passkeys.MOST_PASSKEYS


def remove(browser, row):
    """Remove an authenticator on its page; return the page that follows."""
    kind = "passkeys" if isinstance(row, Row) else "totp"
    return str(browser.post(f"/accounts/2fa/{kind}/{row.pk}/", {"remove": "1"}, follow=True).text)


def test_the_last_passkey_of_an_account_without_a_password_cannot_be_removed():
    """Withstands an accident."""
    alice, passkey = owner()
    registered(alice)
    enrolled(alice)
    User.objects.update(password=make_password(None))
    browser = signed_in(alice)
    first, last = Row.objects.order_by("-pk")

    assert "Set a password first" not in remove(browser, first)
    assert "Set a password first" in browser.get(f"{PASSKEYS}{last.pk}/").text
    assert "Set a password first" in remove(browser, last)
    remove(browser, Authenticator.objects.get())

    assert "Set a password first" in remove(browser, last)
    assert passkeys_of(alice) == [passkey.id]
    assert signs_in(passkey)


def test_the_last_passkey_of_a_user_who_needs_one_cannot_be_removed(settings):
    set_up(settings, staff_factor="passkey")
    carol, passkey = owner("carol", is_staff=True, is_superuser=True)
    enrolled(carol)
    browser = after_password("carol")
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE)))

    assert "Your account needs" in remove(browser, Row.objects.get())
    assert passkeys_of(carol) == [passkey.id]


# Values that are put into every field. The lone surrogate is sent as a JSON escape.
ODD: list[Any] = [
    *(None, True, 10**30, [], [[]], {"a": {}}),
    *("", "a", "aaaaa", "é", "\0", "\ud800", "A" * 10_000),
]

BODIES = ["", "null", "[]", "{}", '"a"', "1e999", "NaN", "{", "\0", "1" * 19_000, "[" * 19_000]


def malformed(make, *binary):
    """Yield malformed answers: fields missing, odd or too long, and ``binary`` fields damaged.

    ``make`` returns a valid answer with a new challenge.
    """
    yield from BODIES
    yield make()[:-1] + " " * 20_000 + "}"
    parts = [("id",), ("rawId",), ("type",), ("response",)]
    for path in [*parts, *(("response", field) for field in ("clientDataJSON", *binary))]:
        yield _changed(make(), path)
        for odd in ODD:
            yield _changed(make(), path, odd)
    for raw in client_data(json.loads(base64url_to_bytes(_response(make)["clientDataJSON"]))):
        yield _changed(make(), ("response", "clientDataJSON"), bytes_to_base64url(raw))
    for field in binary:
        for raw in damaged(base64url_to_bytes(_response(make)[field])):
            yield _changed(make(), ("response", field), bytes_to_base64url(raw))


def client_data(said):
    """Yield malformed client data, as the authenticator would sign it."""
    for key in (*said, "tokenBinding"):
        for odd in (*ODD, {"status": "present", "id": []}, {"status": []}):
            yield json.dumps({**said, key: odd}).encode()
    whole = json.dumps(said)
    deep = whole[:-1] + ', "x":' + "[" * 5000 + "]" * 5000 + "}"
    yield from (b"", b"[]", b"\xff\xfe", b"\xff" * 9, whole.encode("utf-16"), deep.encode())


def damaged(raw):
    """Yield copies of ``raw`` that are cut, extended, or have one byte changed."""
    for more in (b"\0", b"\xff" * 40, b"\x81" * 5000):
        yield raw + more
    # These include the flags and the counter of authenticator data.
    for n in range(0, len(raw), 4):
        yield raw[:n]
        yield raw[:n] + bytes([raw[n] ^ 0x9F]) + raw[n + 1 :]


def keys(key, options):
    """Yield registrations with an invalid public key."""
    head = key.answer(options, "webauthn.create", options["rp"]["id"], {})
    head.flags = PRESENT | VERIFIED | ATTESTED
    size = len(key.raw_id).to_bytes(2)
    bad: list[Any] = [
        *({}, [], 0, {1: 2}, {1: [], 3: {}}, {1: 2, 3: -7, -1: 1, -2: b"", -3: b""}),
        *({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}, {1: 2, 3: 0, -1: 1}),
        *({1: 3, 3: -257, -1: b"", -2: b""}, {1: 1, 3: -8, -1: 6, -2: b"a"}),
    ]
    for cose in bad:
        data = head.head + bytes(16) + size + key.raw_id + cbor2.dumps(cose)
        yield key.create(options, attestation={"authData": data})


def _response(make):
    return json.loads(make())["response"]


def _changed(text, path, *value):
    whole = json.loads(text)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner.pop(path[-1], None)
    if value:
        inner[path[-1]] = value[0]
    return json.dumps(whole)


def accepted(check, answers):
    """Return the answers that ``check`` accepts; errors other than ``WrongPasskey`` propagate."""
    found = []
    for answer in answers:
        try:
            check(answer)
        except WrongPasskey:
            continue
        found.append(answer[:300])
    return found


def test_malformed_passkey_answers_are_refused_without_a_server_error(settings):
    """Withstands a hostile client."""
    set_up(settings, limits_scale=100_000)
    _alice, passkey = owner()

    def make():
        return passkey.get(passkeys.options_to_sign_in())

    def check(answer):
        passkeys.sign_in(answer, Actor())

    assert accepted(check, malformed(make, "authenticatorData", "signature")) == []
    assert accepted(check, [make()]), "the unchanged answer is accepted"
    # These fields are not signed, so that a changed one may be accepted.
    for field in ("userHandle", "transports"):
        accepted(check, [_changed(make(), ("response", field), odd) for odd in ODD])


def test_malformed_passkey_registrations_are_refused_without_a_server_error():
    alice = person()
    key = Passkey()
    options = passkeys.options_to_add(alice)
    foreign = {**options, "rp": {"id": "evil.example"}}

    def add(answer):
        passkeys.add(alice, answer, "", Actor())

    bad = malformed(lambda: key.create(foreign), "attestationObject")
    attested = {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"a", "x5c": [b"a"]}}
    last = key.create(options, attestation=attested)
    assert accepted(add, [*bad, *keys(key, options), last]) == []
    assert passkeys_of(alice) == []


def test_a_malformed_credential_id_is_neither_looked_up_nor_shown():
    for odd in ('"><script>alert(1)</script>', "\0", "\ud800", "é", "A" * 1365):
        sent = {"id": odd, "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiJBIn0"}}

        page = post_credential(Client(), json.dumps(sent))

        assert page.status_code == 200
        assert "alert(1)" not in page.text
        assert "data-signal" not in page.text, "the signal reveals which ids are unknown"


def test_a_credential_id_of_more_than_1023_bytes_is_refused():
    alice = person()
    browser = signed_in(alice)
    long, short = Passkey(credential_id=b"a" * 1024), Passkey(credential_id=b"a")
    answer = long.create(options_of(browser, ADD))
    # In the second answer the id outside the signed data is short.
    for sent in (answer, answer.replace(long.id, short.id)):
        assert post_credential(browser, sent, ADD).status_code == 200
    assert passkeys_of(alice) == []

    longest = Passkey(credential_id=b"a" * 1023)
    add_passkey(browser, longest)
    assert signs_in(longest)
