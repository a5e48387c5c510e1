"""The commands that change stored hashes of other systems: ``rehash`` and ``reencrypt``."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.passwords import foreign
from accounts.users.models import LOCKED, FormerCredential, User
from tests.support.config import encryption_key
from tests.support.foreign_hashes import SHA256, imported, is_exact, of_firebase, works
from tests.support.signin import set_up
from tests.support.standards import proves


@proves("V11.4.2")
def test_rehash_wraps_weak_hashes_of_present_and_former_passwords():
    alice, bob, carol = imported(SHA256), imported(of_firebase(), "bob"), imported(SHA256, "carol")
    User.objects.filter(pk=carol.pk).update(password=LOCKED + carol.password)
    former = FormerCredential.objects.create(
        user=bob, kind="password", removed_at=bob.date_joined, data={"hash": alice.password}
    )
    before = bob.password

    assert hashed_again() == 3
    assert hashed_again() == 0, "nothing is left to do"

    for user in (alice, bob, carol, former):
        user.refresh_from_db()
    stored = (alice.password, carol.former_hash, former.data["hash"])
    assert all(text.startswith("wrapped$sha256$") and is_exact(text) for text in stored)
    assert bob.password == before, "the secret of Firebase stays encrypted"
    assert works(alice)
    assert alice.password.startswith("argon2$")


def hashed_again():
    out = StringIO()
    call_command("rehash", "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())["hashed_again"]


def test_a_sign_in_during_rehash_wins():
    alice = imported(SHA256)
    (row,) = next(foreign._of_users())
    assert works(alice)

    assert row.save(foreign.wrap(row.encoded)) == 0
    alice.refresh_from_db()
    assert alice.password.startswith("argon2$")


def test_sealed_hashes_survive_a_new_encryption_key_and_a_lost_one_is_named(settings):
    alice = imported(SHA256)
    new, old = encryption_key(), settings.AUTHSITE.encryption_keys
    set_up(settings, encryption_keys=(new, *old))
    call_command("reencrypt", verbosity=0)
    set_up(settings, encryption_keys=(new,))
    alice.refresh_from_db()
    assert is_exact(alice.password)

    set_up(settings, encryption_keys=(encryption_key(),))
    with pytest.raises(CommandError, match=f"user {alice.pk}"):
        hashed_again()
    assert not works(alice)
