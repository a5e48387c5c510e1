"""``export_users`` of one site, ``import_users`` at another one: everything keeps working."""

import io
import json

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from pyrage import x25519

from accounts.activity.models import Activity
from accounts.oauth.id_tokens import claims_of
from accounts.oauth.models import Connection
from accounts.terms.models import TermsAcceptance
from accounts.twofactor.models import Authenticator
from accounts.users.models import Identity, User, Username, locked_password
from tests.support import passkeys, webauthn
from tests.support.imports import imported, imported_text, signs_in
from tests.support.oauth_client import new_app
from tests.support.second_factor import enrolled, unused_code
from tests.support.second_steps import new_recovery_codes
from tests.support.signin import set_up
from tests.support.steps import PASSWORD, make_user


def exported(folder):
    """Export all accounts with hashes; return the encrypted file and that of its key."""
    owner, out = x25519.Identity.generate(), io.StringIO()
    words = ("export_users", "--with-hashes", "--recipient", str(owner.to_public()))
    call_command(*words, stdout=out, stderr=io.StringIO())
    (folder / "users.age").write_text(out.getvalue())
    (folder / "key").write_text(f"# created: today\n{owner}\n")
    return folder / "users.age", f"--identity={folder / 'key'}"


def leave():
    """Delete all accounts, as if this were an empty site."""
    for rows in (User.objects, Username.objects, Group.objects.filter(name="Editors")):
        rows.all().delete()


def test_password_factors_codes_providers_groups_and_consents_keep_working(alice, tmp_path):
    passkey, app, other = webauthn.registered(alice), new_app().client, new_app().client
    enrolled(alice)
    codes = new_recovery_codes(alice)
    alice.groups.add(Group.objects.create(name="Editors"), Group.objects.get(name="Support"))
    alice.identities.create(issuer="https://github.com", subject="4711")
    for client in (app, other):
        alice.connections.create(client=client, audience="site", scope="openid")
    TermsAcceptance.objects.create(user=alice, version="2")
    file, key = exported(tmp_path)
    leave()
    unknown = other.pk
    other.delete()

    result, notes = imported(file, "authsite", key)

    assert result == RESULT
    assert [sentence.partition(" is left out")[0] for _number, sentence in notes] == [
        f"The app {unknown!r}",
        "The group 'Support'",
    ]
    new = User.objects.get()
    assert (new.pk, new.username, new.email) == (alice.pk, "alice", alice.email)
    assert signs_in(code=unused_code(new), password=PASSWORD)
    assert signs_in(code=codes[0], password=PASSWORD)
    assert not signs_in(code=codes[0], password=PASSWORD)
    assert passkeys.signs_in(passkey)
    assert new.group_names == ["Editors"]
    assert Identity.objects.get().issuer == "https://github.com"
    assert Connection.objects.get().client == app
    assert TermsAcceptance.objects.get().version == "2"
    assert Activity.objects.filter(kind="imported").count() == 1
    assert imported(file, "authsite", key)[0] == RESULT | {"already_imported": 1, "imported": 0}


RESULT = {"already_imported": 0, "imported": 1, "refused": 0}


def test_a_locked_account_stays_locked_and_passkeys_of_another_domain_are_left_out(
    alice, tmp_path, settings
):
    webauthn.registered(alice)
    User.objects.update(password=locked_password(alice.password))
    file, key = exported(tmp_path)
    leave()
    set_up(settings, passkey_domain="example.net")

    notes = imported(file, "authsite", key)[1]

    assert User.objects.get().is_locked_down
    assert "A passkey is left out" in notes[0][1]
    assert not signs_in(password=PASSWORD)


def test_an_address_that_only_support_confirmed_is_not_verified_at_the_new_site(alice, tmp_path):
    """Withstands a member of staff."""
    alice.emails.update(vouched_at=alice.date_joined)
    file, key = exported(tmp_path)
    leave()

    imported(file, "authsite", key)

    assert claims_of(User.objects.get(), {"email"})["email_verified"] is False


def test_a_file_that_is_cut_or_has_another_key_or_version_is_refused(tmp_path):
    make_user("alice")
    file, key = exported(tmp_path)
    text = file.read_text()
    for wrong in (text[:-200], text.replace("A", "B", 1), "age"):
        file.write_text(wrong)
        with pytest.raises(CommandError, match="cannot be decrypted"):
            imported(file, "authsite", key)
    (tmp_path / "key").write_text("AGE-SECRET-KEY-1")
    with pytest.raises(CommandError, match="age identity"):
        imported(file, "authsite", key)
    for head in ({"format": "authsite-users", "version": 2}, {"version": 1}, []):
        with pytest.raises(CommandError, match="version 1"):
            imported_text(tmp_path, json.dumps(head), "authsite")
    assert Authenticator.objects.count() == 0
