"""Attacks on the management of passkeys."""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

import cbor2
import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from accounts.activity.services import Actor
from accounts.common.errors import PublicError
from accounts.twofactor import passkeys
from accounts.twofactor.errors import WrongPasskey
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.models import Passkey as Row
from accounts.users.models import User
from tests.support.passkeys import (
    REAUTHENTICATE,
    completes_sign_in,
    options_of,
    owner,
    passkeys_of,
    person,
    post_credential,
    signs_in,
)
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES, enrolled
from tests.support.second_steps import after_password
from tests.support.signin import set_up, signed_in
from tests.support.steps import LOGIN, is_signed_in, outbox
from tests.support.webauthn import ADD, ATTESTED, PASSKEYS, PRESENT, VERIFIED, Passkey, registered

pytestmark = pytest.mark.django_db


STAFF = {"is_staff": True, "is_superuser": True}


def test_passkeys_cannot_be_added_or_changed_without_recent_authentication(clock):
    alice, passkey = owner()
    page = f"{PASSKEYS}{Row.objects.get().pk}/"
    browser = signed_in(alice)
    answer = Passkey().create(options_of(browser, ADD))
    clock.advance(minutes=11)

    assert browser.get(ADD).url.startswith(REAUTHENTICATE)
    assert post_credential(browser, answer, ADD).url.startswith(REAUTHENTICATE)
    for data in ({"name": "Mine"}, {"remove": "1"}):
        assert browser.post(page, data).url.startswith(REAUTHENTICATE)
    assert passkeys_of(alice) == [passkey.id]
    assert Row.objects.get().name == "Phone"


def test_another_users_passkey_is_not_found():
    alice, passkey = owner()
    page = f"{PASSKEYS}{Row.objects.get().pk}/"
    browser = signed_in(person("mallory"))

    assert browser.get(page).status_code == 404
    for data in ({"name": "Mine"}, {"remove": "1"}):
        assert browser.post(page, data).status_code == 404
    assert browser.get(f"{PASSKEYS}{'9' * 30}/").status_code == 404
    assert passkeys_of(alice) == [passkey.id]


@pytest.mark.parametrize("holds", [enrolled, registered])
def test_the_password_alone_adds_no_passkey_to_an_account_with_a_factor(holds):
    alice = person()
    holds(alice)
    before = passkeys_of(alice)
    session = signed_in(alice)
    new = Passkey()
    answer = new.create(options_of(session, ADD))
    browser = after_password()

    assert browser.get(ADD).url == CHALLENGE
    assert post_credential(browser, answer, ADD).url == CHALLENGE
    assert post_credential(Client(), answer, ADD).url.startswith(LOGIN)
    assert passkeys_of(alice) == before


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


def test_the_number_of_passkeys_of_an_account_is_limited():
    from accounts.twofactor.passkeys import MOST_PASSKEYS

    alice = person()
    for _ in range(MOST_PASSKEYS):
        registered(alice)
    browser = signed_in(alice)

    assert (
        post_credential(browser, Passkey().create(options_of(browser, ADD)), ADD).status_code == 200
    )
    assert len(passkeys_of(alice)) == MOST_PASSKEYS


def test_a_new_passkey_revokes_all_other_sessions_and_its_owner_is_notified():
    alice = person()
    other, browser = signed_in(alice), signed_in(alice)
    key = browser.cookies["sessionid"].value
    new = Passkey()

    assert post_credential(browser, new.create(options_of(browser, ADD)), ADD).url == RECOVERY_CODES

    assert not is_signed_in(other)
    assert is_signed_in(browser)
    assert browser.cookies["sessionid"].value != key
    assert [mail.to for mail in outbox() if "passkey was added" in mail.subject] == [alice.email]
    assert signs_in(new)


def remove(browser, row):
    """Remove an authenticator on its page; return the page that follows."""
    kind = "passkeys" if isinstance(row, Row) else "totp"
    return str(browser.post(f"/accounts/2fa/{kind}/{row.pk}/", {"remove": "1"}, follow=True).text)


def test_the_last_passkey_of_an_account_without_a_password_cannot_be_removed():
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


@pytest.mark.parametrize("required", [{"second_factor": "all"}, {"staff_factor": "passkey"}])
def test_the_last_passkey_of_a_user_who_needs_one_cannot_be_removed(settings, required):
    set_up(settings, **required)
    carol, passkey = owner("carol", **STAFF)
    if "staff_factor" in required:
        enrolled(carol)
    browser = after_password("carol")
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE)))

    assert "Your account needs" in remove(browser, Row.objects.get())
    assert passkeys_of(carol) == [passkey.id]


# Returns a valid answer with a new challenge.
type Make = Callable[[], str]

# Values that are put into every field. The lone surrogate is sent as a JSON escape.
ODD: list[Any] = [
    *(None, True, 10**30, [], [[]], {"a": {}}),
    *("", "a", "aaaaa", "é", "\0", "\ud800", "A" * 10_000),
]

BODIES = [
    *("", "null", "[]", "{}", '"a"', "1e999", "NaN", "{", "\0", "\ufeff{}", "1" * 19_000),
    "[" * 19_000,
    '{"response":' * 1500 + "1" + "}" * 1500,
    '{"id":"a","id":"b","rawId":"a","type":"public-key","response":{"clientDataJSON":"e30"}}',
]

UNSIGNED = [
    *(("authenticatorAttachment",), ("clientExtensionResults",)),
    *(("response", "userHandle"), ("response", "transports")),
]


def malformed(make, *binary):
    """Yield malformed answers: fields missing, odd or too long, and ``binary`` fields damaged."""
    yield from BODIES
    yield make()[:-1] + " " * 20_000 + "}"
    yield make()[:-1] + ', "id": "twice", "response": {}}'
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
    # These include the offsets of the fields of authenticator data.
    for size in {0, 1, 31, 32, 33, 36, 37, 38, 53, 55, len(raw) // 2, len(raw) - 1}:
        if size < len(raw):
            yield raw[:size]
    for more in (b"\0", b"\xff" * 40, b"\x81" * 5000):
        yield raw + more
    for n in range(0, len(raw), 17):
        yield raw[:n] + bytes([raw[n] ^ 0x9F]) + raw[n + 1 :]


def statements(key, options):
    """Yield registrations with unrequested or malformed attestations."""
    names = ["x5c", "sig", "alg", "ver", "response", "certInfo", "pubArea"]
    for form in ("packed", "tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "x"):
        for part in (b"a" * 40, "a", -7, [], {}, [b""], [b"\x30\x03\x02\x01\x01"]):
            for statement in (
                dict.fromkeys(names, part),
                {"alg": -7, "sig": b"a", "ver": "2.0", "x5c": part},
            ):
                yield key.create(options, attestation={"fmt": form, "attStmt": statement})
    for odd in ([], 0, None, b"none", "a" * 9000):
        for field in ("fmt", "attStmt", "authData"):
            yield key.create(options, attestation={field: odd})
    deep = b"\x81" * 9000 + b"\x80"
    endless = (b"\x9f", b"\xbf" * 3000, b"\x1b" + b"\xff" * 8)
    for raw in (b"", b"\xff", deep, cbor2.dumps([1]), *endless):
        yield key.create(options, response={"attestationObject": bytes_to_base64url(raw)})


def keys(key, options):
    """Yield registrations with an invalid public key."""
    head = key.answer(options, "webauthn.create", options["rp"]["id"], {})
    head.flags = PRESENT | VERIFIED | ATTESTED
    size = len(key.raw_id).to_bytes(2)
    bad: list[Any] = [
        *({}, [], 0, {1: 2}, {1: 2, 3: -7}, {1: 2, 3: -7, -1: 1, -2: b"", -3: b""}),
        *({1: 2, 3: -7, -1: 9, -2: bytes(32), -3: bytes(32)}, {1: 2, 3: 0, -1: 1}),
        *({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}, {1: [], 3: {}}),
        *({1: 3, 3: -257, -1: b"", -2: b""}, {1: 3, 3: -257, -1: b"\1", -2: b"\2"}),
        *({1: 1, 3: -8, -1: 6, -2: b"a"}, {1: 2, 3: -7, -1: 1, -2: 5, -3: "a"}),
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


@pytest.mark.parametrize("act", ["sign in", "prove"])
def test_malformed_passkey_answers_are_refused_without_a_server_error(settings, act):
    set_up(settings, limits_scale=100_000)
    alice, passkey = owner()

    def make():
        proving = act == "prove"
        options = (
            passkeys.options_for_second_step(alice) if proving else passkeys.options_to_sign_in()
        )
        return passkey.get(options)

    def check(answer):
        if act == "prove":
            passkeys.verify(alice, answer, Actor())
        else:
            passkeys.sign_in(answer, Actor())

    assert accepted(check, malformed(make, "authenticatorData", "signature")) == []
    assert accepted(check, [make()]), "the unchanged answer is accepted"
    # These fields are not signed, so that a changed one may be accepted.
    for path in UNSIGNED:
        for odd in ODD:
            accepted(check, [_changed(make(), path, odd)])


def test_malformed_passkey_registrations_are_refused_without_a_server_error():
    alice = person()
    key = Passkey()
    options = passkeys.options_to_add(alice)
    foreign = {**options, "rp": {"id": "evil.example"}}

    def add(answer):
        passkeys.add(alice, answer, "", Actor())

    bad = malformed(lambda: key.create(foreign), "attestationObject")
    assert accepted(add, chain(bad, statements(key, foreign), keys(key, options))) == []
    assert passkeys_of(alice) == []
    # The site requests no attestation, so it may accept or refuse these.
    for answer in statements(key, options):
        with suppress(PublicError):
            add(answer)


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
    assert (
        post_credential(browser, longest.create(options_of(browser, ADD)), ADD).status_code == 302
    )
    assert signs_in(longest)


def test_a_passkey_with_an_invalid_name_is_refused():
    alice = person()
    browser = signed_in(alice)

    for name in ("\0", "a" * 5000, "\u202e", "\x1b[2J"):
        answer = Passkey().create(options_of(browser, ADD))
        assert post_credential(browser, answer, ADD, name=name).status_code == 200
    assert passkeys_of(alice) == []
