"""Hashing is bounded: beyond the bound one waits a little, then is told to come back."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.test import Client

from accounts.passwords import hashers, services
from tests.support.client import together

pytestmark = pytest.mark.dear_hashes


@pytest.fixture
def every_slot_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hashers, "WAIT_SECONDS", 0.01)
    with ExitStack() as taken:
        while hashers._slots.acquire(blocking=False):
            taken.callback(hashers._slots.release)
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("every_slot_taken")
def test_who_signs_in_while_all_slots_are_taken_is_told_when_to_come_back(client: Client) -> None:
    answer = client.post("/accounts/login/", {"login": "alice", "password": "whatever it is"})

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert client.get("/accounts/login/").status_code == 200, "other pages answer"


def test_however_many_sign_in_as_few_threads_hash_as_there_are_cores() -> None:
    """Each of them keeps its 19 MiB: sixteen would be 300."""
    hashed_in = together(16, lambda _n: hashers.in_slot(threading.get_ident))

    assert len(set(hashed_in)) <= (os.cpu_count() or 1)
    assert threading.get_ident() not in hashed_in


def test_a_slot_comes_back_also_after_a_failure() -> None:
    for _ in range(20):
        with pytest.raises(ValueError, match="at most"):
            services.hash_password("x" * 1025)

    assert services.verify("a password", services.hash_password("a password"))


def test_a_password_is_the_same_from_every_keyboard() -> None:
    composed, decomposed = "caf\u00e9 au lait, please", "cafe\u0301 au lait, please"

    assert services.verify(decomposed, services.hash_password(composed))
