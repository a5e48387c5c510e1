"""All settings are validated together, and an error never repeats a secret."""

import base64
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from accounts.common.config import STRICT_DEFAULTS
from accounts.common.environment import ConfigError, read
from tests.support.config import GOOD, refused
from tests.support.standards import proves

ODD_WORDS = ("1", "{}", '{"de": ""}', '""', f'"{"x" * 201}"', r'"a\u202e"')
UNSAFE = {
    "SECRET_KEY": ["short", "x" * 60, "django-insecure-" + 5 * "0123456789"],
    "SECRET_KEY_FALLBACKS": ["short"],
    "ENCRYPTION_KEYS": [
        *("hunter2", "A" * 43 + "=", base64.urlsafe_b64encode(b"hunter2 " * 4).decode()),
        f"{base64.urlsafe_b64encode(bytes(range(32))).decode()} {'A' * 43}=",
    ],
    "ORIGIN": ["http://accounts.example.org", "example.org", "https://a.example/x", "https://a b"],
    "PASSKEY_ORIGINS": [
        "https://app.example.org/path",
        "android:apk-key-hash:short",
        f"android:apk-key-hash:{'a' * 43}@package",
        f"ios:bundle-id:{'a' * 43}",
        "webcredentials:org.example.app",
    ],
    "CORS_ORIGINS": [
        *("*", "null", "app.example.org", "https://*.example.org", "https://app.example.org/x"),
        *("http://app.example.org", "https://app.example.org https://x@app.example.org"),
    ],
    "CLIENT_METADATA_HOSTS": [
        *("https://a.example", "*", "*.a.example", "A.example", "a.example/x", "[::1]", "a@b"),
        *("a.example:443", "a.example:0", "a.example:x", "vscode.dev a.example:443"),
    ],
    "CLIENT_METADATA_AUDIENCES": ["https://mcp.example.org"],
    "EMAIL_URL": [
        *("smtp://user:hunter2#x@mail:587", "smtp://user:hunter2@mail:no", "mail"),
        *("smtp+plain://user:hunter2@mail.example.org:25", "smtp+plain://192.0.2.1:25"),
    ],
    "DATABASE_URL": ["mysql://root:hunter2@db/x", "postgres://u:hunter2/@db/x", "sqlite://x"],
    "REDIS_URL": [
        *("http://hunter2", "redis+sentinel://hunter2", "redis+sentinel://hunter2@s:26379/x"),
        "redis+sentinel://u:hunter2@one:1,two:x/limits",
        "redis+sentinel://u:hunter2/@one/limits",
    ],
    "MAIL_FROM": ["nobody", "Team <team@example.org>"],
    "TERMS_URL": ["https://example.org/terms", "terms"],
    "TERMS_VERSION": ["2026-11"],
    "TRUSTED_PROXIES": ["everybody", "0.0.0.0/0", "127.0.0.1 ::/0", "0.0.0.0/1 128.0.0.0/1"],
    "LIMITS_SCALE": ["0", "-1", "many"],
    "SESSION_PROTECTION": ["none", "Strong"],
    "SESSION_DAYS": ["0", "1.5"],
    "ACTIVITY_DAYS": ["29", "forever"],
    "TOKEN_ALGORITHM": ["HS256", "none", "rs256"],
    "REFRESH_GRACE_SECONDS": ["-1", "301"],
    "PORT": ["0", "99999"],
    "BIND": ["everywhere", "0.0.0.0", "::", "192.0.2.1"],
    "TLS_CERT_FILE": ["/etc/chain.pem"],
    "TLS_KEY_FILE": ["/etc/key.pem"],
    "ACME_WEBROOT": ["/srv/acme"],
    "METRICS_TOKEN": ["hunter2", "hunter2-hunter2-hunter2-hunter2", "é" * 40],
    "SITE_NAME": ["two\nlines"],
    "AUDIENCE_SCOPES": [
        *("orders:read", '{"https://a.example": ["x"]}', '{"https://a.example": {"a b": "x"}}'),
        *(f'{{"https://a.example": {{"x": {words}}}}}' for words in ODD_WORDS),
        '{"https://elsewhere.example": {"x": "do it"}}',
        '{"https://accounts.example.org": {"write": "do it"}}',
        '{"https://a.example": {"x": "do it"}, "https://b.example": {"x": "do that"}}',
    ],
    "SECURITY_CONTACT": [
        *("security@example.org", "mailto:nobody", "http://example.org", "https://", "tel:1")
    ],
}


def test_valid_settings_are_accepted(tmp_path):
    config = read(GOOD, tmp_path)

    assert config.https
    assert (tmp_path / "var").is_dir()
    config = read(GOOD | {"ORIGIN": "https://[2001:db8::1]:8443"}, tmp_path)
    assert (config.hostname, config.host) == ("[2001:db8::1]", "[2001:db8::1]:8443")


WEAKER = {
    "SECOND_FACTOR": "staff",
    "STAFF_FACTOR": "any",
    "SESSION_PROTECTION": "off",
    "API_BASIC_PASSWORD": "on",
    "TRUSTED_BROWSER_DAYS": "1",
    "SESSION_IDLE_MINUTES": "61",
    "SESSION_DAYS": "2",
    "REMEMBER_DAYS": "2",
    "ACCESS_TOKEN_SECONDS": "301",
    "REFRESH_TOKEN_DAYS": "2",
    "REFRESH_IDLE_DAYS": "2",
}


@proves("63B-2.2.3")
def test_strict_operation_changes_defaults_and_refuses_weaker_settings(tmp_path):
    """Withstands an operator's mistake: a setting undermines STRICT."""
    config = read(GOOD | {"STRICT": "on", "SESSION_IDLE_MINUTES": "15"}, tmp_path)

    found = (config.second_factor, config.staff_factor, config.remember_days)
    assert found == ("all", "passkey", 1)
    assert (config.session_idle_minutes, config.shortest_password) == (15, 15)
    assert not config.takes_basic
    assert {name.upper() for name in STRICT_DEFAULTS} == WEAKER.keys()
    for name, value in WEAKER.items():
        assert refused(tmp_path, STRICT="on", **{name: value}).startswith(name)
        read(GOOD | {name: value}, tmp_path)


@proves("V12.3.1")
def test_an_error_names_the_unsafe_setting_without_repeating_its_value(tmp_path):
    """Withstands an operator's mistake."""
    for name, values in UNSAFE.items():
        for value in values:
            assert name in refused(tmp_path, **{name: value}), value


@pytest.mark.parametrize(
    "given",
    [
        {"EMAIL_URL": "smtp+plain://127.0.0.1:25"},
        {"EMAIL_URL": "smtp+plain://[::1]"},
        {"TRUSTED_PROXIES": "127.0.0.1 10.0.0.0/8 fd00::/8 104.16.0.0/13 2400:cb00::/32"},
        {"LIMITS_SCALE": "1000"},
        {"REDIS_URL": "rediss+sentinel://:hunter2%40@one:26379,[::1]/limits/1"},
        # Variables of other programs, which resemble settings.
        dict.fromkeys(("HOST", "GITLAB_CLIENT_ID", "REDIS_PORT", "AUTHSITE_PORT"), "x"),
        {"CLIENT_METADATA_HOSTS": "vscode.dev, a.example:8443"},
        {"AUDIENCE_SCOPES": '{"https://a.example": {"orders:read": "view your orders"}}'},
        {"SECURITY_CONTACT": "mailto:security@example.org"},
        {"SECURITY_CONTACT": "https://example.org/s?a=b"},
        {"BIND": "0.0.0.0", "TRUSTED_PROXIES": "10.0.0.1"},
        {"BIND": "0.0.0.0", "TLS_CERT_FILE": "chain.pem", "TLS_KEY_FILE": "key.pem"},
    ],
)
def test_unusual_but_safe_settings_are_accepted(given, tmp_path):
    read(GOOD | given, tmp_path)


@pytest.mark.parametrize("name", ["EMAIL_URL", "TRUSTED_PROXIES"])
def test_development_accepts_settings_that_production_refuses(name, tmp_path):
    read(GOOD | {"ENVIRONMENT": "development", name: UNSAFE[name][-1]}, tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_a_database_file_that_other_users_can_read_or_write_is_refused(mode):
    """Withstands an operator's mistake.

    The file's mode does not matter in a folder that others cannot enter, as pytest's own.
    """
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


ACME = {
    **{"id": "acme", "name": "Acme", "issuer": "https://acme.example/tenant"},
    **{"client_id": "authsite", "client_secret": "hunter2"},
}
WITHOUT = "has an entry without one of id, name, issuer, client_id, client_secret"
ID = "has an id that is not of a-z, 0-9 and -, at most 40"
ISSUER = "acme: the issuer is no https address without query or fragment"
ORIGINS = "acme: origins is a list such as https://login.example.org"
FAULTS: list[tuple[Any, str]] = [
    ("hunter2", "is a JSON list of objects"),
    (json.dumps(ACME), "is a JSON list of objects"),
    (["hunter2"], WITHOUT),
    *(([{**ACME, name: ""}], WITHOUT) for name in ACME),
    *(([ACME | {"client_id": value}], WITHOUT) for value in (None, 1, "a\n")),
    ([ACME | {"client_secret": "hunter2" * 300}], WITHOUT),
    *(([ACME | {"id": value}], ID) for value in ("Acme", "-acme", "a" * 41, "a/b", "a_b")),
    *(
        ([ACME | {"issuer": issuer}], ISSUER)
        for issuer in (
            *("acme.example", "ftp://acme.example", "https://", "https://a b.example"),
            *("https://acme.example?x", "https://acme.example#x", "https://x@acme.example"),
            *("https://acme.example:0", "https://*.example", f"https://a.example/{'a' * 240}"),
        )
    ),
    *(
        ([ACME | {"origins": origins}], ORIGINS)
        for origins in ("https://a.example", ["a.example"], [1], ["https://a.example; script *"])
    ),
    ([ACME, ACME | {"issuer": "https://other.example"}], "has an id twice"),
    ([ACME | {"issuer": "https://github.com"}], "acme: that issuer has settings of its own"),
    ([ACME | {"issuer": "http://acme.example"}], ": an issuer is not https"),
]


@pytest.mark.parametrize("value, sentence", FAULTS)
def test_an_invalid_openid_provider_is_explained_in_one_sentence(value, sentence, tmp_path):
    text = value if isinstance(value, str) else json.dumps(value)
    told = refused(tmp_path, OIDC_PROVIDERS=text)
    assert told.replace("OIDC_PROVIDERS", "", 1).strip() == sentence


def test_half_of_a_providers_credentials_is_refused_naming_the_missing_half(tmp_path):
    halves = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET")
    for given, missing in (halves, halves[::-1]):
        assert refused(tmp_path, **{given: "hunter2"}) == f"{missing} is missing"


def test_providers_keep_the_order_of_their_buttons_and_hide_their_secrets(tmp_path):
    providers = [ACME | {"origins": ["https://login.acme.example:8443"]}]
    given = {"OIDC_PROVIDERS": json.dumps(providers), "GITHUB_CLIENT_ID": "1"}
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = read(GOOD | given | {"GITHUB_CLIENT_SECRET_FILE": str(secret)}, tmp_path)
    acme, github = config.issuers

    assert acme.origins == ("https://acme.example", "https://login.acme.example:8443")
    assert (acme.key, github.key, github.client_secret) == ("oidc/acme", "github", "hunter2")
    assert "hunter2" not in repr(config.issuers)


@pytest.mark.parametrize(
    "wrong, meant",
    [("SECRET_KEYY", "SECRET_KEY"), ("SECERT_KEY_FILE", "SECRET_KEY_FILE"),
     ("EMAIL_FROM", "MAIL_FROM"), ("origin", "ORIGIN"), ("SINGUP", "SIGNUP"), ("STRCT", "STRICT")],
)  # fmt: skip
def test_a_misspelt_setting_is_refused_with_the_right_name(tmp_path, wrong, meant):
    told = refused(tmp_path, **{wrong: "hunter2"})

    assert told == f"{wrong} is not a setting: did you mean {meant}?"


def test_a_file_without_certificates_is_no_list_of_authorities(tmp_path):
    for file in (tmp_path / "none.pem", Path(__file__)):
        assert refused(tmp_path, CA_FILE=str(file)) == (
            f"CA_FILE is no readable file with certificates in PEM format: {file}"
        )


def test_each_name_in_the_env_file_must_be_a_setting(tmp_path):
    given = GOOD | {"TRUSTED_PROXY": "127.0.0.1", "FLAVOUR": "", "SITE_NAME": "x"}

    with pytest.raises(ConfigError) as error:
        read(given, tmp_path, ["TRUSTED_PROXY", "FLAVOUR", "SITE_NAME"])

    assert error.value.faults == [
        "TRUSTED_PROXY is not a setting: did you mean TRUSTED_PROXIES?",
        "FLAVOUR is not a setting",
    ]
