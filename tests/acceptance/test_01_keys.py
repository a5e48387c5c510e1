"""1. Tokens signed with a public key: the keys. Rows 5 and 6."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib import admin
from django.test import Client

from accounts.tokens import keys, ring
from accounts.tokens.models import SigningKey
from tests.conftest import Clock
from tests.support.env import clean
from tests.support.missing import find, missing
from tests.support.site import ROOT, Site
from tests.tokens.steps import is_good, token

JWKS = "/.well-known/jwks.json"
DOCS = (ROOT / "docs/operating.md").read_text().partition("\n## Signing keys\n")[2]
OWN = re.findall(r"(?ms)^```sh\n(.+?)```", DOCS.partition("\n## ")[0])[1].splitlines()
*MAKING, BRINGING = OWN


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with its database, of which only commands are run."""
    site = Site(data_dir=tmp_path_factory.mktemp("site"))
    site.make_database()
    return site


def shell(folder: Path, line: str, **env: str) -> str:
    """What a line of the docs prints in a folder that has ``manage.py``."""
    (folder / "manage.py").symlink_to(ROOT / "manage.py")
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o700)
    done = subprocess.run(
        ["/bin/sh", "-ec", line],
        capture_output=True,
        check=False,
        cwd=folder,
        env=os.environ | env | {"PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_1_5_the_docs_name_each_way_to_make_a_key() -> None:
    programs = " ".join(MAKING)

    assert {line.partition(" #")[2].strip() for line in MAKING} == {"RS256", "ES256", "EdDSA"}
    for way in ("openssl genrsa -out", "genrsa -traditional", "ssh-keygen", "-m PEM", "genpkey"):
        assert way in programs
    assert BRINGING.startswith("python manage.py rotate_signing_key --key-file ")


@pytest.mark.parametrize("line", MAKING)
def test_1_5_a_key_of_ones_own_is_brought_by_the_lines_of_the_docs(
    line: str, stopped: Site, tmp_path: Path
) -> None:
    program, algorithm = line.split(" ", maxsplit=1)[0], line.rpartition(" ")[2]
    find(program) or missing(program)

    says = shell(
        tmp_path,
        f"{line}\n{BRINGING}",
        **(clean(stopped.data_dir) | stopped.env | {"TOKEN_ALGORITHM": algorithm}),
    )

    jwk = keys.public_jwk(keys.load((tmp_path / "signing_key.pem").read_bytes()))
    assert says.startswith(f"{jwk['kid']} ({algorithm}) signs ")


def kid_of(written: str) -> str:
    """Which key a token says that it's signed with."""
    return str(jwt.get_unverified_header(written)["kid"])


class Elsewhere:
    """A verifier that has only the address of the keys, and keeps them as long as it may."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until = clock, clock.now() - timedelta(seconds=1)
        self._keys: dict[str, jwt.PyJWK] = {}

    def takes(self, written: str) -> bool:
        if self._clock.now() >= self._until:
            answer = Client().get(JWKS)
            age = re.search(r"max-age=(\d+)", answer["Cache-Control"])
            assert age
            self._until = self._clock.now() + timedelta(seconds=int(age[1]))
            self._keys = {jwk["kid"]: jwt.PyJWK(jwk) for jwk in answer.json()["keys"]}
        key = self._keys.get(kid_of(written))
        if key is None:
            return False
        jwt.decode(written, key, [key.algorithm_name])
        return True


def moments(clock: Clock, hours: int, step: int) -> Iterator[datetime]:
    end = clock.now() + timedelta(hours=hours)
    while clock.now() < end:
        yield clock.now()
        clock.advance(seconds=step)


@pytest.mark.django_db
def test_1_6_keys_rotate_and_no_token_is_refused_here_or_elsewhere(clock: Clock) -> None:
    """Tokens of an hour, the longest, are shown every 100 s while their key goes out of use."""
    started, living, signed_with = clock.now(), list[tuple[datetime, str]](), set[str]()
    # They fetch the keys at different moments.
    elsewhere = [Elsewhere(clock) for _ in range(3)]
    for now in moments(clock, hours=4, step=100):
        if (now - started).seconds % 4000 == 0:
            ring.rotate()
        new = token()
        signed_with.add(kid_of(new))
        living = [(end, shown) for end, shown in living if end > now]
        living.append((now + timedelta(hours=1), new))

        for i, verifier in enumerate(elsewhere):
            if (now - started).seconds // 100 >= i:
                assert all(verifier.takes(shown) for _end, shown in living)
        assert all(is_good(shown) for _end, shown in living)

    assert len(signed_with) == 4


def writings_of(key: RSAPrivateKey) -> set[bytes]:
    """A private key as anybody who looks for one would find it: each number, and whole files."""
    numbers = key.private_numbers()
    found: set[bytes] = set()
    for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        # Base64 of it within something longer begins at one of three places.
        within = {base64.b64encode(b"\0" * i + raw)[8:-8] for i in range(3)}
        url_safe = {text.translate(bytes.maketrans(b"+/", b"-_")) for text in within}
        found |= {raw, raw.hex().encode(), str(number).encode()} | within | url_safe
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        found |= set(key.private_bytes(Encoding.PEM, form, NoEncryption()).split(b"\n")[8:-3])
    return found


def test_1_6_the_private_key_is_in_no_row_page_log_or_backup_in_clear(tmp_path: Path) -> None:
    key = keys.generate("RS256")
    assert isinstance(key, RSAPrivateKey)
    (tmp_path / "key.pem").write_text(keys.to_pem(key))
    public = {name: text.encode() for name, text in keys.public_jwk(key).items()}
    kid = public["kid"]
    # A line of the file that has nothing but digits of the modulus is public: it's in ``n``.
    writings = [written for written in writings_of(key) if written not in public["n"]]
    with Site() as site:
        says = site.manage("rotate_signing_key", "--key-file", str(tmp_path / "key.pem"))
        pages = [site.client().get(JWKS).body, says.encode(), site.manage("dumpdata").encode()]
        files = [path.read_bytes() for path in site.data_dir.rglob("*") if path.is_file()]

    assert all(kid in text for text in pages)
    assert any(kid in text for text in files)
    for text in [*pages, *files]:
        assert b"PRIVATE KEY" not in text
        assert not [written for written in writings if written in text]


def test_1_6_what_is_looked_for_would_be_found_in_the_key_file() -> None:
    key: Any = keys.generate("RS256")

    assert any(written in keys.to_pem(key).encode() for written in writings_of(key))


def test_1_6_the_admin_shows_no_key() -> None:
    assert not admin.site.is_registered(SigningKey)


def test_1_6_no_private_key_is_in_the_repository() -> None:
    folders = ("accounts", "authsite", "docs", "locale", "static", "templates", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]

    assert files
    begins = re.compile(rb"(?m)^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?$")
    assert [path for path in files if begins.search(path.read_bytes())] == []
