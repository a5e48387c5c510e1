"""Settings that are read, and settings that are refused."""

from pathlib import Path

import pytest

from accounts.common.environment import ConfigError, read
from accounts.common.secrets import encryption_key, token

GOOD = {
    "ENVIRONMENT": "production",
    "ORIGIN": "https://accounts.example.org",
    "SECRET_KEY": token(48),
    "ENCRYPTION_KEYS": encryption_key(),
    "EMAIL_URL": "smtp://user:hunter2@mail.example.org:587",
    "MAIL_FROM": "accounts@example.org",
    "TOKEN_AUDIENCES": "https://a.example https://b.example https://accounts.example.org",
}


def refused(tmp_path: Path, **more: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(GOOD | more, tmp_path)
    assert "hunter2" not in str(error.value)
    return str(error.value)
