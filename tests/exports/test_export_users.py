"""``export_users``: all accounts as JSON lines, for another site of this kind."""

import io
import json
import tracemalloc
from collections import Counter

import pyrage
import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pyrage import x25519

from accounts.common.secrets import encryption_key
from accounts.exports import age, people
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import services as users
from accounts.users.models import User
from tests.support.second_factor import confirm_recovery_codes, enrolled, set_up_authenticator
from tests.support.signin import set_up, signed_in
from tests.support.steps import PASSWORD, address_of, make_user
from tests.support.webauthn import registered


def exported(*words):
    """Return the first line of the output, and the accounts by username."""
    out = io.StringIO()
    call_command("export_users", *words, stdout=out, stderr=io.StringIO())
    return parsed(out.getvalue())


def parsed(text):
    head, *rows = map(json.loads, text.splitlines())
    return head, {row["username"]: row for row in rows}


def encrypted(*words):
    """Export with hashes, decrypt the file, and return what :func:`exported` returns."""
    owner, out = x25519.Identity.generate(), io.StringIO()
    call_command(
        *("export_users", "--with-hashes", "--recipient", str(owner.to_public()), *words),
        stdout=out,
        stderr=io.StringIO(),
    )
    assert "alice" not in out.getvalue()
    clear = io.BytesIO()
    pyrage.decrypt_io(io.BytesIO(out.getvalue().encode()), clear, [owner])
    return parsed(clear.getvalue().decode())


def test_an_account_is_there_with_all_that_another_site_needs_but_no_secret():
    alice = make_user("alice", display_name="Alicé")
    alice.groups.add(Group.objects.get(name="Support"))
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))
    emails = [address_of("alice"), "alice@second.example"]
    users.confirm_email(alice, emails[1])
    registered(alice)
    enrolled(alice)

    head, rows = exported()

    assert (head["format"], head["version"], head["has_secrets"]) == ("authsite-users", 1, False)
    row = rows["alice"]
    assert (row["id"], row["display_name"]) == (str(alice.pk), "Alicé")
    assert [each["email"] for each in row["emails"]] == emails
    assert (row["groups"], row["permissions"]) == (["Support"], ["accounts.view_user"])
    assert row["passkeys"][0]["public_key"]
    assert not {"password", "totp", "recovery_codes"} & row.keys()
    assert Authenticator.objects.get().seed not in json.dumps(rows)


def test_with_hashes_the_file_is_encrypted_and_has_what_signs_people_in(settings):
    """Withstands a thief with the database."""
    alice = make_user("alice")
    browser = signed_in(alice)
    set_up_authenticator(browser)
    confirm_recovery_codes(browser)
    with pytest.raises(CommandError, match="needs --recipient"):
        exported("--with-hashes")
    with pytest.raises(CommandError, match="begins with age1"):
        exported("--with-hashes", "--recipient", "age1x")

    head, rows = encrypted()

    row = rows["alice"]
    assert head["has_secrets"]
    assert check_password(PASSWORD, row["password"])
    assert row["totp"][0]["seed"] == Authenticator.objects.get().seed
    assert len(row["recovery_codes"][0]["digests"]) == RecoveryCodes.objects.get().left
    set_up(settings, encryption_keys=(encryption_key(),))
    with pytest.raises(CommandError, match="decrypts a second factor"):
        encrypted()


def test_since_finds_who_was_created_or_changed_and_not_who_only_signed_in(clock):
    for name in ("alice", "bob", "carol"):
        make_user(name)
    clock.advance(days=2)
    since = clock.now().isoformat()
    clock.advance(minutes=1)
    set_up_authenticator(signed_in(User.objects.get(username="alice")))
    signed_in(User.objects.get(username="bob"))
    make_user("dave")

    assert exported("--since", since)[1].keys() == {"alice", "dave"}
    assert exported("--since", "2020-01-01")[1].keys() == {"alice", "bob", "carol", "dave"}
    for wrong in ("yesterday", "2026-13-01"):
        with pytest.raises(CommandError, match="--since"):
            exported("--since", wrong)


def many(count):
    """Create accounts with an email address each, without their usernames' rows."""
    made = [User(username=f"u{n}", username_key=f"u{n}", password="!") for n in range(count)]
    User.objects.bulk_create(made, batch_size=500)
    return made


def test_each_table_is_read_once_for_a_batch_however_many_accounts_it_has(monkeypatch):
    monkeypatch.setattr(people, "BATCH", 10)
    many(30)
    with CaptureQueriesContext(connection) as queries:
        assert len(exported()[1]) == 30

    tables = Counter(query["sql"].partition(" FROM ")[2].split()[0] for query in queries)
    assert tables.pop('"accounts_user"') == 5, "the count, and three full batches"
    assert max(tables.values()) == 3


def test_a_large_export_is_encrypted_as_it_is_written():
    many(6000)
    key, size = age.recipient(str(x25519.Identity.generate().to_public())), 0

    def write(text):
        nonlocal size
        size += len(text)

    tracemalloc.start()
    age.encrypt(people.lines(people.accounts(), has_secrets=True), write, [key])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size > 3_000_000
    assert peak < 6_000_000
