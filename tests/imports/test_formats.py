"""A person of each system signs in with what they had there."""

import base64
import json

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError

from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import Identity, User
from tests.support import passkeys, webauthn
from tests.support.imports import FILES, FORMATS, SECRETS, SEED, imported, imported_text, signs_in
from tests.support.second_factor import code_of
from tests.support.steps import address_of


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def of(name, *words):
    file, more = FORMATS[name]
    return imported(FILES / file, name, *more, *words)


@pytest.mark.parametrize("name", FORMATS)
def test_a_person_signs_in_with_the_password_and_the_app_that_they_had(name):
    result, _notes = of(name)
    assert result["refused"] == 0

    alice = User.objects.get(username_key="alice")
    assert (alice.emails.exists(), alice.is_staff) == (name != "wordpress", False)
    has_app = Authenticator.objects.filter(user=alice).exists()
    assert has_app == (name not in {"firebase", "wordpress"})
    assert signs_in(code=code_of(SEED) if has_app else "")
    alice.refresh_from_db()
    assert alice.password.startswith("argon2$")


NOTES = {
    "keycloak": ["A credential 'recovery-authn-codes' is left out."],
    "csv": ["The group 'Support' is left out: it has rights."],
    "laravel": ["The username is Alice; in the file, it is missing."],
    "firebase": ["The username is Alice; in the file, it is missing."],
    "django": [
        "Nobody can sign in yet: there is no password and no verified address.",
        "The rights of staff are left out.",
        "The username is bob-smith; in the file, it is 'bob smith'.",
    ],
}


@pytest.mark.parametrize("name", NOTES)
def test_the_operator_reads_what_was_left_out_or_changed_also_in_a_trial(name):
    trial = of(name, "--dry-run")
    assert not User.objects.exists()
    assert trial == of(name)
    assert [sentence for _number, sentence in trial[1]] == NOTES[name]


@pytest.mark.parametrize(
    "name, groups", [("keycloak", ["Editors", "author"]), ("django", ["Editors"])]
)
def test_groups_addresses_and_accounts_elsewhere_are_those_of_the_file(name, groups):
    of(name)

    alice = User.objects.get(username="alice")
    assert alice.group_names == groups
    assert list(alice.emails.values_list("email", flat=True)) == [address_of("alice")]
    assert alice.pending_emails.count() == (name == "django")
    assert Identity.objects.get().subject == "4711"
    assert not Group.objects.get(name="Editors").permissions.exists()


def test_recovery_codes_of_allauth_work_once_and_guesses_are_counted():
    """Withstands a guesser: imported recovery codes have eight digits."""
    of("django")

    assert not signs_in(code="55987214"), "it was used there"
    assert signs_in(code="8146 4817")
    assert not signs_in(code="81464817")
    for _ in range(5):
        signs_in(code="00000000")
    assert not signs_in(code="81344181"), "an account has few guesses"


def test_the_devices_of_django_otp_work():
    _result, notes = imported(FILES / "django_otp.json", "django")

    left_out = "An authenticator app is left out: it is not TOTP with 6 digits, 30 s."
    assert notes == [(1, left_out)]
    assert Authenticator.objects.get().name == "Phone"
    assert signs_in(code=code_of(SEED))
    assert signs_in(code="ABCD 2345")
    assert not signs_in(code="ABCD 2345"), "it was used"


def test_the_second_factors_of_laravel_need_its_key(monkeypatch):
    _result, notes = imported(FILES / "laravel.csv", "laravel", "--dry-run")
    assert (1, "The second factors are left out: --app-key decrypts them.") in notes
    with monkeypatch.context() as patch:
        patch.setenv("APP_KEY", base64.b64encode(bytes(32)).decode())
        _result, notes = of("laravel", "--dry-run")
    assert (1, "The second factors are left out: APP_KEY is another one.") in notes

    of("laravel")

    assert signs_in(code="vqd5MGsTJk-cTQhRLYsHm")


def test_other_columns_are_another_import(tmp_path):
    text = "login,mail\nalice,alice@example.org\n"
    columns = "--columns=username=login,email=mail"
    assert imported_text(tmp_path, text)[0]["refused"] == 1

    result = {"already_imported": 0, "imported": 1, "refused": 0}
    assert imported_text(tmp_path, text, "csv", columns)[0] == result
    assert imported_text(tmp_path, text, "csv", columns)[0]["already_imported"] == 1


def test_recovery_codes_of_aspnet_have_letters():
    of("aspnet")
    assert signs_in(code="7pqky-2h4hd")


def test_a_passkey_of_keycloak_works_if_its_domain_stays(tmp_path):
    realm, passkey = json.loads((FILES / "keycloak.json").read_text()), webauthn.Passkey()
    key = base64.b64encode(passkey.public_key).decode()
    data = {"credentialId": passkey.id, "credentialPublicKey": key, "counter": 0}
    realm["users"][0]["credentials"] = [
        {"type": "webauthn-passwordless", "credentialData": json.dumps(data)}
    ]
    text = json.dumps(realm)
    assert "--passkeys" in imported_text(tmp_path, text, "keycloak", "--dry-run")[1][0][1]

    imported_text(tmp_path, text, "keycloak", "--passkeys")

    assert passkeys.signs_in(passkey)
    assert Passkey.objects.get().is_eligible


def test_secrets_are_read_from_files_and_never_from_arguments(tmp_path):
    """Withstands a thief with the database."""
    (tmp_path / "pepper").write_text("pepper-of-devise\n")
    file = FILES / "rails.csv"
    with pytest.raises(CommandError, match="@FILE"):
        imported(file, "rails", "--pepper=pepper-of-devise")

    imported(file, "rails", f"--pepper=@{tmp_path / 'pepper'}")

    assert signs_in(code=code_of(SEED))
