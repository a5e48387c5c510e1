"""System 1, tokens signed with a public key: the signing keys (rows 5 and 6)."""

import base64
import io
import re
import shlex
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.tokens import keys
from accounts.tokens.models import SigningKey
from tests.support.missing import find, missing
from tests.support.signing import is_good, token
from tests.support.site import ROOT

pytestmark = pytest.mark.django_db

JWKS = "/.well-known/jwks.json"
DOCS = (ROOT / "docs/operating.md").read_text().partition("\n## Signing keys\n")[2]
OWN = re.findall(r"(?ms)^```sh\n(.+?)```", DOCS.partition("\n## ")[0])[1].splitlines()
*MAKE_KEY, IMPORT_KEY = OWN


def manage(line):
    """Run a line of the docs that begins with ``python manage.py``; return what it prints."""
    python, program, *words = shlex.split(line)
    assert (python, program) == ("python", "manage.py")
    output = io.StringIO()
    call_command(*words, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("line", MAKE_KEY)
def test_1_5_an_own_key_is_imported_by_the_commands_of_the_docs(
    line, configure, tmp_path, monkeypatch
):
    program = line.partition(" ")[0]
    find(program) or missing(program)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["/bin/sh", "-ec", line], check=True, stdin=subprocess.DEVNULL)
    algorithm = line.rpartition(" ")[2]
    configure(token_algorithm=algorithm)

    says = manage(IMPORT_KEY)

    jwk = keys.public_jwk(keys.load((tmp_path / "signing_key.pem").read_bytes()))
    assert says.startswith(f"{jwk['kid']} ({algorithm}) signs ")
    assert is_good(token())


def leaked_forms_of(key):
    """Return the forms in which a private key could leak: its numbers and lines of its files."""
    numbers = key.private_numbers()
    found: set[bytes] = set()
    for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        found |= {raw, raw.hex().encode(), str(number).encode()}
        # Within longer data, base64 of the number begins at one of three offsets.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found |= {encode(b"\0" * i + raw)[8:-8] for i in range(3)}
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        found |= set(key.private_bytes(Encoding.PEM, form, NoEncryption()).split(b"\n")[8:-3])
    return found


def test_1_6_the_private_key_is_in_no_row_page_log_or_backup_in_plain_text(
    configure, tmp_path, caplog
):
    configure(token_algorithm="RS256")
    caplog.set_level(0)
    key = keys.generate("RS256")
    assert isinstance(key, RSAPrivateKey)
    public = {name: text.encode() for name, text in keys.public_jwk(key).items()}
    # Lines of the file that hold only a part of the modulus are public: they are in ``n``.
    writings = [written for written in leaked_forms_of(key) if written not in public["n"]]
    file = tmp_path / "key.pem"
    file.write_text(keys.to_pem(key))
    assert any(written in file.read_bytes() for written in writings)

    says = manage(f"python manage.py rotate_signing_key --key-file {file}")
    assert is_good(token())

    page, backup = Client().get(JWKS).content, manage("python manage.py dumpdata").encode()
    database = connection.connection.serialize()
    for text in (says.encode(), page, backup, database):
        assert public["kid"] in text
    for text in (says.encode(), page, backup, database, caplog.text.encode()):
        assert b"PRIVATE KEY" not in text
        assert not [written for written in writings if written in text]
    assert not admin.site.is_registered(SigningKey)


def test_1_6_no_private_key_is_in_the_repository():
    folders = ("accounts", "authsite", "docs", "locale", "static", "templates", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]

    assert files
    begins = re.compile(rb"(?m)^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?$")
    assert [path for path in files if begins.search(path.read_bytes())] == []
