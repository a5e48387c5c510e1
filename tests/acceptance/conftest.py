"""Fixtures of the acceptance tests."""

from typing import Any

import pytest

from accounts.passwords.hashers import Argon2id


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every run of Argon2, the dearest thing that a stranger can ask for."""
    runs: list[str] = []

    def counted(name: str) -> Any:
        method = getattr(Argon2id, name)

        def run(*args: Any) -> Any:
            runs.append(name)
            return method(*args)

        return run

    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2id, name, counted(name))
    return runs
