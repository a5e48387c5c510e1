"""The command ``rotate_signing_key``."""

import io
import sys
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from accounts.management.commands import rotate_signing_key
from accounts.tokens import keyring, keys
from accounts.tokens.models import SigningKey
from tests.support.signing import is_good, made_by, token

ES256 = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
ENCRYPTED = (
    "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:hunter2 "
    "-out key.pem"
)


def rotate(*words):
    output = io.StringIO()
    call_command("rotate_signing_key", *map(str, words), stdout=output)
    return output.getvalue()


def refused(*words):
    with pytest.raises(CommandError) as error:
        rotate(*words)
    assert not SigningKey.objects.exists()
    return str(error.value)


def test_the_command_prints_when_a_new_key_signs_and_now_withdraws_the_others(clock):
    first, second, stolen = rotate(), rotate(), token()

    one, two = SigningKey.objects.order_by("number")
    assert first == f"{one.kid} (ES256) signs from now on.\n"
    assert second == f"{two.kid} (ES256) signs from {two.signs_at:%Y-%m-%d %H:%M:%S} UTC on.\n"
    assert (two.signs_at - clock.now()).seconds == 600

    says = rotate("--now")

    assert f"{keyring.signer().kid} (ES256) signs from now on." in says
    assert "within 60 s" in says
    assert "300 s old" in says
    assert not is_good(stolen)


def test_an_imported_key_is_read_from_standard_input_and_added_once(tmp_path, monkeypatch):
    text = made_by(ES256, tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))

    says = rotate("--key-file", "-")

    kid = keys.public_jwk(keys.load(text))["kid"]
    assert keyring.signer().kid == kid
    assert kid in says
    with pytest.raises(CommandError, match="is in the key ring already"):
        rotate("--key-file", tmp_path / "key.pem", "--now")
    assert SigningKey.objects.get().withdrawn_at is None


def test_the_passphrase_is_read_from_a_file_or_the_terminal(tmp_path, monkeypatch):
    made_by(ENCRYPTED, tmp_path)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("hunter2\n")
    key = ("--key-file", tmp_path / "key.pem")

    assert "--passphrase-file" in refused(*key)
    rotate(*key, "--passphrase-file", passphrase)
    SigningKey.objects.all().delete()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(rotate_signing_key, "getpass", lambda _prompt: "hunter2")
    rotate(*key)
    assert is_good(token())


def test_an_unusable_key_file_is_refused_with_a_reason(tmp_path, configure):
    configure(token_algorithm="ES256")
    large, key = tmp_path / "large", tmp_path / "key.pem"
    large.write_bytes(b"-----BEGIN PRIVATE KEY-----" + b"A" * 65_536)
    made_by("openssl genpkey -algorithm ED25519 -out key.pem", tmp_path)

    assert refused("--key-file", tmp_path / "none").endswith("No such file or directory.")
    assert "too large" in refused("--key-file", large)
    assert "The key signs EdDSA, and TOKEN_ALGORITHM is ES256" in refused("--key-file", key)


def test_a_concurrent_rotation_fails_and_changes_nothing(monkeypatch):
    keyring.signer()

    def taken(*_key):
        raise IntegrityError

    monkeypatch.setattr(keyring, "insert", taken)

    with pytest.raises(CommandError, match="Run it again"):
        rotate("--now")
    assert SigningKey.objects.get().withdrawn_at is None, "a failed rotation withdraws nothing"
