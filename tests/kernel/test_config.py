"""Settings are checked as a whole, and an error never repeats a secret."""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from accounts.kernel.environment import ConfigError, read
from accounts.kernel.secrets import encryption_key, token

GOOD = {
    "ENVIRONMENT": "production",
    "ORIGIN": "https://accounts.example.org",
    "SECRET_KEY": token(48),
    "ENCRYPTION_KEYS": encryption_key(),
    "EMAIL_URL": "smtp://user:hunter2@mail.example.org:587",
    "MAIL_FROM": "accounts@example.org",
}

UNSAFE = {
    "SECRET_KEY": ["short", "x" * 60, "django-insecure-" + 5 * "0123456789"],
    "SECRET_KEY_FALLBACKS": ["short"],
    "ENCRYPTION_KEYS": [
        *("hunter2", "A" * 43 + "=", base64.urlsafe_b64encode(b"hunter2 " * 4).decode()),
        f"{base64.urlsafe_b64encode(bytes(range(32))).decode()} {'A' * 43}=",
    ],
    "ORIGIN": [
        "http://accounts.example.org",
        "accounts.example.org",
        "https://a.example/path",
        "https://a b",
    ],
    "CORS_ORIGINS": [
        *("*", "null", "app.example.org", "https://*.example.org", "https://app.example.org/x"),
        *("http://app.example.org", "https://app.example.org https://x@app.example.org"),
    ],
    "EMAIL_URL": [
        *("smtp://user:hunter2#x@mail:587", "smtp://user:hunter2@mail:no", "mail"),
        *("smtp+plain://user:hunter2@mail.example.org:25", "smtp+plain://192.0.2.1:25"),
    ],
    "DATABASE_URL": ["mysql://root:hunter2@db/x", "postgres://u:hunter2#@db/x"],
    "MAIL_FROM": ["nobody", "Team <team@example.org>"],
    "TRUSTED_PROXIES": ["everybody", "0.0.0.0/0", "127.0.0.1 ::/0", "0.0.0.0/1 128.0.0.0/1"],
    "LIMITS_SCALE": ["0", "-1", "many"],
    "SESSION_PROTECTION": ["none", "Strong"],
    "SESSION_PROTECTION_NETWORK": ["yes"],
    "SESSION_IDLE_MINUTES": ["0", "-1"],
    "SESSION_DAYS": ["0", "1.5"],
    "ACTIVITY_DAYS": ["29", "forever"],
    "TOKEN_ALGORITHM": ["HS256", "none", "rs256"],
    "SIGNING_KEY_DAYS": ["-1", "3651"],
    "REMEMBER_DAYS": ["99999999"],
    "PORT": ["0", "99999"],
    "BIND": ["everywhere", "0.0.0.0", "::", "192.0.2.1"],
    "TLS_CERT_FILE": ["/etc/chain.pem"],
    "TLS_KEY_FILE": ["/etc/key.pem"],
    "REDIRECT_PORT": ["-1", "80"],
    "ACME_WEBROOT": ["/srv/acme"],
    "METRICS_TOKEN": ["hunter2", "hunter2-hunter2-hunter2-hunter2", "é" * 40],
    "SITE_NAME": ["two\nlines"],
    "SIGNUP": ["maybe"],
}


def test_good_settings_are_taken(tmp_path: Path) -> None:
    config = read(GOOD, tmp_path)

    assert config.https
    assert (tmp_path / "var").is_dir()


@pytest.mark.parametrize(
    "name, value", [(name, value) for name, values in UNSAFE.items() for value in values]
)
def test_an_unsafe_setting_is_named_and_its_secret_is_not_repeated(
    name: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(GOOD | {name: value}, tmp_path)

    assert name in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_ipv6_origin_keeps_its_brackets(tmp_path: Path) -> None:
    config = read(GOOD | {"ORIGIN": "https://[2001:db8::1]:8443"}, tmp_path)

    assert (config.hostname, config.host) == ("[2001:db8::1]", "[2001:db8::1]:8443")


@pytest.mark.parametrize(
    "given",
    [
        {"EMAIL_URL": "smtp+plain://127.0.0.1:25"},
        {"EMAIL_URL": "smtp+plain://[::1]"},
        {"TRUSTED_PROXIES": "127.0.0.1 10.0.0.0/8 fd00::/8 104.16.0.0/13 2400:cb00::/32"},
        {"LIMITS_SCALE": "1000"},
        {"BIND": "0.0.0.0", "TRUSTED_PROXIES": "10.0.0.1"},
        {"BIND": "0.0.0.0", "TLS_CERT_FILE": "chain.pem", "TLS_KEY_FILE": "key.pem"},
    ],
)
def test_what_is_right_behind_some_walls_is_taken(given: dict[str, str], tmp_path: Path) -> None:
    read(GOOD | given, tmp_path)


@pytest.mark.parametrize("name", ["EMAIL_URL", "TRUSTED_PROXIES"])
def test_development_may_have_what_production_may_not(name: str, tmp_path: Path) -> None:
    read(GOOD | {"ENVIRONMENT": "development", name: UNSAFE[name][-1]}, tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_a_database_that_others_on_the_machine_reach_is_refused(mode: int) -> None:
    """In a folder that others can't enter its mode doesn't matter; pytest's own is one."""
    with TemporaryDirectory(prefix="authsite-open-") as name:
        folder, url = Path(name), f"sqlite:///{name}/db%20x.sqlite3"
        file = folder / "db x.sqlite3"
        file.touch()
        file.chmod(mode)
        read(GOOD | {"DATABASE_URL": url}, folder)

        folder.chmod(0o711)
        with pytest.raises(ConfigError, match="DATABASE_URL"):
            read(GOOD | {"DATABASE_URL": url}, folder)

        file.chmod(0o660)
        read(GOOD | {"DATABASE_URL": url}, folder)
