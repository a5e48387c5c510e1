"""System 1, tokens signed with a public key: the signing keys (rows 5 and 6).

That no request fails while keys rotate is in ``tests/tokens/test_keyring.py``.
"""

import base64
import io
import re
import shlex
import subprocess

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.tokens import keys
from accounts.tokens.models import SigningKey
from tests.support.missing import find, missing
from tests.support.signing import is_good, token
from tests.support.site import ROOT
from tests.support.standards import proves

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
    """Return the forms in which a private key could leak: its number and lines of its file."""
    number = key.private_numbers().private_value
    raw = number.to_bytes(32)
    # Within longer data, base64 of the number begins at one of three offsets.
    parts = {
        encode(b"\0" * i + raw)[8:-8]
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
        for i in range(3)
    }
    # The other lines of the file hold the public key.
    lines = keys.to_pem(key).encode().split(b"\n")[1:3]
    return {raw, raw.hex().encode(), str(number).encode(), *parts, *lines}


@proves("V14.2.4")
def test_1_6_the_private_key_is_in_no_row_page_log_or_backup_in_plain_text(tmp_path, caplog):
    """Withstands a thief with the database."""
    caplog.set_level(0)
    key = keys.generate("ES256")
    kid, writings = keys.public_jwk(key)["kid"].encode(), leaked_forms_of(key)
    file = tmp_path / "key.pem"
    file.write_text(keys.to_pem(key))

    says = manage(f"python manage.py rotate_signing_key --key-file {file}")
    assert is_good(token())

    page, backup = Client().get(JWKS).content, manage("python manage.py dumpdata").encode()
    database = connection.connection.serialize()
    for text in (says.encode(), page, backup, database):
        assert kid in text
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
