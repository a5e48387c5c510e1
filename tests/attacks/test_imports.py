"""Files that an attacker has written, or had a hand in: each bad row is refused, and no other."""

import io
import json
import tracemalloc
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from accounts.activity.services import Actor
from accounts.deletion.erasure import append_to_log
from accounts.imports import services
from accounts.imports.formats import FORMATS
from accounts.imports.parts import FoundPerson, Options
from accounts.recovery.locks import lock_down
from accounts.twofactor.models import Authenticator
from accounts.twofactor.services import note_saved, remove_codes
from accounts.twofactor.webauthn import rp_id
from accounts.users.models import EmailAddress, Identity, User
from tests.support.disputes import reset_link
from tests.support.foreign_hashes import BCRYPT
from tests.support.imports import FILES, SEED, imported, imported_text, signs_in
from tests.support.steps import make_staff

HEAD = "username,email,email_verified,password_hash,totp_secret,joined,groups\n"


def row(username="mallory", **members):
    return {"username": username, "email": f"{username}@example.org", **members}


def hostile(*lines):
    """Return lines of JSON: bob, the hostile ``lines``, and alice with a password."""
    ends = [row("bob", email_verified=True), row("alice", email_verified=True, passwordHash=BCRYPT)]
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return b"\n".join([json.dumps(ends[0]).encode(), *texts, json.dumps(ends[1]).encode()])


NESTED = b'{"username": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
REFUSED = {
    "no JSON": b"{username: mallory}",
    "half an object": b'{"username": "mallory"',
    "a list": b"[]",
    "a number": b"7",
    "nesting": NESTED,
    "a member twice": b'{"username": "mallory", "username": "alice"}',
    "a member twice, inside": b'{"identities": [{"provider": "x", "provider": "y"}]}',
    "NUL": b'{"username": "mal\\u0000lory"}',
    "half a character": b'{"username": "\\ud800"}',
    "NUL, raw": b'{"username": "mal\0lory"}',
    "no UTF-8": b'{"username": "\xff\xfe"}',
    "UTF-16": '{"username": "mallory"}'.encode("utf-16"),
    "infinity": b'{"created_at": Infinity}',
    "a number of a million digits": b'{"created_at": ' + b"9" * 1_000_000 + b"}",
    "a line of 3 MB": b'{"username": "' + b"x" * 3_000_000 + b'"}',
    "a list as name": row(["mallory"]),
    "an object as email": row(email={}),
    "an object as hash": row(passwordHash={"$ne": ""}),
    "a word as truth": row(email_verified="perhaps"),
    "a word as time": row(created_at="yesterday"),
    "a time in the year 1": row(created_at="0001-01-01T00:00:00+14:00"),
    "a time after all years": row(created_at="9" * 20),
    "an object as list": row(identities={"provider": "x"}),
    "a list of texts": row(identities=["x"]),
    "a thousand identities": row(
        identities=[{"provider": "github", "user_id": str(n)} for n in range(1000)]
    ),
    "a subject that is too long": row(identities=[{"provider": "github", "user_id": "x" * 256}]),
    "nobody": row("", email=""),
    "an address of another": row("mallory", email="BOB@example.org"),
}


def test_a_hostile_row_is_refused_with_its_number_and_the_rows_beside_it_are_not(tmp_path):
    """Withstands a hostile file."""
    result, notes = imported_text(tmp_path, hostile(*REFUSED.values()), "auth0")

    assert result == {"already_imported": 0, "imported": 2, "refused": len(REFUSED)}
    assert [number for number, _sentence in notes] == [*range(2, 2 + len(REFUSED))]
    assert signs_in("alice")


LEFT_OUT = {
    "bcrypt of cost 31": "$2b$31$" + BCRYPT[7:],
    "2^31 iterations": "pbkdf2_sha256$2147483648$salt$AAAA",
    "Argon2 with 4 GB": "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
    "scrypt with 2^31": "scrypt$2147483648$salt$8$1$AAAA",
    "phpass of cost 30": "$P$S" + "a" * 30,
    "a hash of 10 MB": "$2b$04$" + "x" * 1_000_000,
    "a digest that many passwords have": "pbkdf2_sha256$1000$salt$AA==",
    "no hash": "password",
    "an unusable hash": "!",
    "a sealed hash": "sealed$x",
    "a lock": "!locked x",
    "a format string": "%s%n{0}",
}


def test_a_password_that_costs_too_much_or_that_nobody_can_verify_is_left_out(tmp_path):
    """Withstands a hostile file."""
    lines = [
        row("m" * number, passwordHash=found[:1_000_000], otp_secret="1")
        for number, found in enumerate(LEFT_OUT.values(), 3)
    ]
    result, notes = imported_text(tmp_path, hostile(*lines), "auth0")

    assert result["refused"] == 0
    assert {number for number, _sentence in notes} == {*range(2, 2 + len(LEFT_OUT))}
    for line in lines:
        assert not User.objects.get(username=line["username"]).has_usable_password(), line
        assert not signs_in(line["username"], password="password")


ENDLESS = json.dumps(
    {
        "type": "password",
        "credentialData": '{"algorithm": "x", "hashIterations": 1e400}',
        "secretData": '{"salt": "", "value": ""}',
    }
)
DOCUMENTS = {
    "an item that is none": ('{"users": [7, %s, "x", %s]}', 2),
    "a list in the list": ('{"users": [[], %s, %s]}', 1),
    "braces in texts": ('{"a": "[{", "users": [%s, %s], "b": ["}"]}', 0),
    "an escaped quote": ('{"a\\"": "\\\\", "users": [%s, %s]}', 0),
    "a list of the same name, deeper": ('{"a": {"users": [{}]}, "users": [%s, %s]}', 0),
    "the list twice": ('{"users": [%s, %s], "users": [{"username": "eve"}]}', 0),
    "infinite iterations": ('{"users": [%s, %s, {"credentials": [' + ENDLESS + "]}]}", 1),
    "no end": ('{"users": [%s, %s', 1),
    "an end too many": ('{"users": [%s, %s]]]}}', 0),
    "an item without end": ('{"users": [%s, %s, {"username": "eve"', 1),
    "a mark of the byte order": ('\ufeff{"users": [%s, %s]}', 0),
    "a text without end": ('{"users": [%s, %s, {"username": "eve}]}', 1),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_read_item_by_item_whatever_stands_around_them(name, tmp_path):
    text, refused = DOCUMENTS[name]
    users = [json.dumps(row(each)) for each in ("alice", "bob")]

    result, _notes = imported_text(tmp_path, text % tuple(users), "keycloak")

    assert (result["imported"], result["refused"]) == (2, refused)
    assert set(User.objects.values_list("username", flat=True)) == {"alice", "bob"}


ROWS = {
    "a quote without its end": 'mallory,"mallory@example.org,no,,,,',
    "a quote in the middle": 'mallory,"m"x,no,,,,',
    "a field too many": "mallory,,no,,,,,x",
    "a field too few": "mallory",
    "NUL": "mal\0lory,,no,,,,",
    "Latin-1": "m\xe4llory,,no,,,,",
    "a field of 2 MB": "x" * 2_000_000,
}


@pytest.mark.parametrize("name", ROWS)
def test_a_damaged_line_of_csv_costs_no_other_line(name, tmp_path):
    text = f"\ufeff{HEAD}bob,b@example.org,yes,,,,\r\n".encode() + ROWS[name].encode("latin-1")
    result, notes = imported_text(tmp_path, text + f"\nalice,,no,{BCRYPT},,,\n".encode())

    assert (result["imported"], [number for number, _sentence in notes]) == (2, [2])
    assert signs_in("alice")


def test_nobody_becomes_staff_by_an_import(tmp_path):
    """Withstands a hostile file."""
    make_staff("carol")
    rows = [row(groups=["/Support", "/Managers"], realmRoles=["admin"], is_superuser=True)]
    fields = {"username": "eve", "password": "!", "last_login": None, "is_active": True}
    user = {"model": "auth.user", "pk": 1, "fields": fields | {"is_staff": True, "groups": [1]}}
    group = {"model": "auth.group", "pk": 1, "fields": {"name": "Support"}}
    imported_text(tmp_path, json.dumps({"users": rows}), "keycloak")
    imported_text(tmp_path, json.dumps([group, user]), "django")

    privileged = Group.objects.filter(permissions__isnull=False)
    for name in ("mallory", "eve"):
        person = User.objects.get(username=name)
        assert (person.is_staff, person.is_superuser) == (False, False)
        assert not person.user_permissions.exists()
        assert not person.groups.filter(pk__in=privileged).exists()


class Endless(io.RawIOBase):
    """A quarter of a gigabyte without an end of line."""

    def __init__(self):
        self.text, self.left = b'{"users": [{"username": "', 1 << 28

    def readable(self):
        return True

    def readinto(self, buffer):
        data = (self.text or b"x" * min(len(buffer), self.left))[: len(buffer)]
        self.text, self.left = b"", self.left - len(data)
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("name", ["auth0", "keycloak"])
def test_a_line_without_end_takes_no_memory(name):
    tracemalloc.start()
    (error,) = FORMATS[name](io.BufferedReader(Endless()), Options())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "long" in str(error) or "ends" in str(error)
    assert peak < 8_000_000


def own(*accounts):
    """Return an export of a site of this kind with ``accounts``."""
    head = {"format": "authsite-users", "version": 1, "passkey_domain": rp_id()}
    return "\n".join(map(json.dumps, (head, *accounts)))


def test_a_profile_that_its_owner_writes_claims_no_account_at_a_provider(tmp_path):
    """Withstands a hostile file."""
    head = "email,raw_app_meta_data,raw_user_meta_data\n"
    profile = '"{""provider"": ""github""}","{""provider_id"": ""4711"", ""sub"": ""4711""}"'

    _result, notes = imported_text(tmp_path, f"{head}m@example.org,{profile}\n", "supabase")

    assert "The identity provider 'github' is left out." in [text for _number, text in notes]
    assert not Identity.objects.exists()


def test_whoever_has_claimed_an_address_without_proof_does_not_keep_its_owner_out(tmp_path):
    head = "username,email,email_verified\n"
    rows = "mallory,alice@example.org,no\nalice,alice@example.org,yes\n"
    trial = imported_text(tmp_path, head + rows, "csv", "--dry-run")

    assert imported_text(tmp_path, head + rows) == trial
    assert EmailAddress.objects.get().user.username == "alice"


def test_a_file_that_was_changed_imports_nobody_twice(tmp_path):
    head, rows = "username,email,email_verified\n", "alice,alice@example.org,no\nbob,,\n"
    imported_text(tmp_path, head + rows)

    result, _notes = imported_text(tmp_path, f"{head}{rows}carol,,\n")

    assert (result["imported"], result["refused"]) == (1, 2)
    assert set(User.objects.values_list("username", flat=True)) == {"alice", "bob", "carol"}


def test_eight_digits_of_a_replaced_recovery_code_are_not_guessed(tmp_path):
    imported(FILES / "django.json", "django")
    alice, browser = User.objects.get(username="alice"), Client()
    assert not note_saved(alice, RIGHT), "that page limits no guesses"
    remove_codes(alice)
    lock_down(alice, Actor())
    link = reset_link()

    tries = ["00000000"] * 5 + [RIGHT]
    answers = [browser.post(link, {"code": code}).status_code for code in tries]

    assert answers == [200] * 5 + [429]


RIGHT = "81464817"


def test_an_older_export_brings_no_deleted_account_back(tmp_path):
    """Withstands a hostile file."""
    erased = "6f4f1a52-0000-4000-8000-000000000001"
    append_to_log([UUID(erased)])

    result, notes = imported_text(tmp_path, own({"id": erased, "username": "alice"}), "authsite")

    assert (result["imported"], notes) == (0, [(1, "The account was deleted here.")])


@pytest.mark.parametrize(
    "members",
    [
        {"passkeys": [{"credential_id": 7}]},
        {"totp": [{"seed": SEED, "last_t": 0.5, "made_at": 7}]},
        {"recovery_codes": [{"salt": "x", "digests": ["0" * 64] * 21}]},
        {"consents": [{"client_id": "x", "since": 7}]},
        {"password": "pbkdf2_sha256$1$salt$" + "A" * 43 + "="},
    ],
)
def test_an_export_of_this_site_that_somebody_has_edited_ends_no_import(members, tmp_path):
    text = own({"username": "mallory", **members}, {"username": "alice"})
    result, _notes = imported_text(tmp_path, text, "authsite")

    refused = int("recovery_codes" in members)
    assert (result["imported"], result["refused"]) == (2 - refused, refused)
    assert User.objects.filter(username="alice").exists()
    assert not User.objects.filter(password__startswith="pbkdf2").exists(), "weak hashes are sealed"


def test_a_label_of_any_length_names_an_authenticator_app(tmp_path):
    data = json.dumps({"subType": "totp", "digits": 6, "period": 30, "algorithm": "HmacSHA1"})
    secret, label = json.dumps({"value": "x" * 20}), "x" * 300
    app = {"type": "otp", "credentialData": data, "secretData": secret, "userLabel": label}
    imported_text(tmp_path, json.dumps({"users": [row(credentials=[app])]}), "keycloak")

    assert Authenticator.objects.get().name == "x" * 60


def test_an_import_lets_others_write_after_each_portion(monkeypatch):
    """Withstands a flood."""
    pauses = []
    monkeypatch.setattr(services, "PORTION", 2)
    monkeypatch.setattr(services, "sleep", pauses.append)
    rows = [FoundPerson(f"otter-{n}") for n in range(5)]

    services.Import(bool, bool).run(iter(rows), "d")

    assert pauses == ([services.PAUSE_SECONDS] * 3 if connection.vendor == "sqlite" else [])
