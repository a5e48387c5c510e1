"""A password that attackers try first is refused, wherever one is chosen."""

import hashlib
import operator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.passwords import lists
from accounts.passwords.services import is_compromised
from accounts.users.models import User
from tests.support.steps import SIGNUP, address_of

GOOD = "three teapots on a train"


def _hash(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()


@pytest.fixture
def copy_of(tmp_path: Path, settings):
    def make(content: bytes | None) -> Path:
        path = tmp_path / "pwned.txt"
        if content is not None:
            path.write_bytes(content)
        settings.AUTHSITE = replace(settings.AUTHSITE, pwned_passwords_file=str(path))
        return path

    return make


@pytest.mark.parametrize("known", ["password1234", "PassWord1234"])
def test_what_attackers_try_first_is_refused_in_any_case(known: str) -> None:
    with pytest.raises(ValidationError, match="attackers try first"):
        validate_password(known, User(username="alice"))


def test_the_list_is_whole_sorted_and_not_loaded() -> None:
    data = lists.COMMON.read_bytes()
    size = lists.RECORD_BYTES
    records = [data[at : at + size] for at in range(0, len(data), size)]

    assert len(records) == 1_436_782
    assert all(map(operator.lt, records, records[1:]))
    assert not is_compromised(GOOD)
    assert isinstance(lists._common(), lists.mmap.mmap)


@pytest.mark.parametrize("end, last_end", [(b"\n", b""), (b"\r\n", b"\r\n")])
def test_the_copy_of_have_i_been_pwned_is_searched_exactly(
    copy_of, end: bytes, last_end: bytes
) -> None:
    members = [f"known password {n}" for n in range(500)]
    lines = sorted(b"%s:%d" % (_hash(p), 10 ** (n % 8)) for n, p in enumerate(members))
    copy_of(end.join(lines) + last_end)

    assert all(map(is_compromised, members))
    assert not any(is_compromised(f"unknown password {n}") for n in range(500))
    # What is on a list is compared as it is hashed: composed.
    copy_of(_hash("caf\u00e9 au lait, please") + b":1" + end)
    assert is_compromised("cafe\u0301 au lait, please")
    assert not is_compromised("Known password 1")


@pytest.mark.django_db
@pytest.mark.parametrize("content", [b"", b"\n", b"\x1f\x8b" + b"\xff" * 100_000, None])
def test_a_copy_that_is_no_list_is_named_by_check_and_refuses_nobody(copy_of, content) -> None:
    copy_of(content)

    faults = [fault for fault in run_checks() if "PWNED_PASSWORDS_FILE" in fault.msg]
    assert len(faults) == 1
    assert not is_compromised(GOOD)
    copy_of(_hash("known password 1") + b":3\r\n")
    assert run_checks() == [], "a good copy passes"


@pytest.mark.django_db
def test_a_copy_that_went_away_lets_people_sign_up_and_is_logged(
    client: Client, copy_of, caplog: pytest.LogCaptureFixture
) -> None:
    copy_of(None)
    data = {"username": "alice", "email": address_of("alice"), "password1": GOOD}

    assert client.post(SIGNUP, data).status_code == 302
    assert "PWNED_PASSWORDS_FILE can't be read" in caplog.text
    assert GOOD not in caplog.text


@pytest.mark.parametrize("word", [settings.AUTHSITE.site_name, settings.AUTHSITE.hostname])
def test_the_sites_own_name_makes_no_password(word: str) -> None:
    for password in (f"{word.upper()}-2026", f"{word}{word}", f"12{word}34!"):
        with pytest.raises(ValidationError, match="name of this site"):
            validate_password(password, User(username="alice"))

    validate_password(f"{word} {GOOD}", User(username="alice"))
