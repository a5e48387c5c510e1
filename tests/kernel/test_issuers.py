"""The settings of those who vouch for people: a fault is named, and no secret repeated."""

import json
from pathlib import Path
from typing import Any

import pytest

from accounts.kernel.environment import ConfigError, read
from tests.kernel.test_config import GOOD

ACME = {
    "id": "acme",
    "name": "Acme",
    "issuer": "https://acme.example/tenant",
    "client_id": "authsite",
    "client_secret": "hunter2",
}
WITHOUT = "has an entry without one of id, name, issuer, client_id, client_secret"
ID = "has an id that is not of a-z, 0-9 and -, at most 40"
ISSUER = "acme: the issuer is no https address without query or fragment"
ORIGINS = "acme: origins is a list such as https://login.example.org"
FAULTS: list[tuple[Any, str]] = [
    ("hunter2", "is a JSON list of objects"),
    (json.dumps(ACME), "is a JSON list of objects"),
    (["hunter2"], WITHOUT),
    *(([{**ACME, name: value}], WITHOUT) for name in ACME for value in ("", None, 1, "a\n")),
    ([ACME | {"client_secret": "hunter2" * 300}], WITHOUT),
    *(([ACME | {"id": value}], ID) for value in ("Acme", "-acme", "a" * 41, "a/b", "a_b")),
    *(
        ([ACME | {"issuer": issuer}], ISSUER)
        for issuer in (
            *("acme.example", "ftp://acme.example", "https://", "https://a b.example"),
            *("https://acme.example?x", "https://acme.example#x", "https://x@acme.example"),
            *("https://acme.example:0", "https://acme.example:99999", "https://acme.example;x"),
            *("https://*.example", f"https://acme.example/{'a' * 240}", "https://[::1"),
        )
    ),
    *(
        ([ACME | {"origins": origins}], ORIGINS)
        for origins in (
            *("https://a.example", ["https://a.example/"], ["a.example"], [1], {}, ["*"]),
            *(["https://a.example; script-src *"], ["https://*.example"], ["https://a.example,b"]),
        )
    ),
    ([ACME, ACME | {"issuer": "https://other.example"}], "has an id twice"),
    ([ACME | {"issuer": "https://github.com"}], "acme: that issuer has settings of its own"),
    ([ACME | {"issuer": "http://acme.example"}], ": an issuer is not https"),
]


def refused(tmp_path: Path, **more: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(GOOD | more, tmp_path)
    assert "hunter2" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("value, sentence", FAULTS)
def test_a_fault_of_the_openid_providers_is_said_in_one_sentence(
    value: Any, sentence: str, tmp_path: Path
) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    told = refused(tmp_path, OIDC_PROVIDERS=text)
    assert told.replace("OIDC_PROVIDERS", "", 1).strip() == sentence


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("name", ["GOOGLE", "GITHUB", "FACEBOOK", "TWITTER"])
def test_half_of_the_credentials_is_a_fault_that_names_the_other_half(
    name: str, environment: str, tmp_path: Path
) -> None:
    halves = (f"{name}_CLIENT_ID", f"{name}_CLIENT_SECRET")
    for given, missing in (halves, halves[::-1]):
        told = refused(tmp_path, **{given: "hunter2", "ENVIRONMENT": environment})
        assert told == f"{missing} is missing"


def test_good_ones_are_taken_in_the_order_of_their_buttons_and_hide_their_secrets(
    tmp_path: Path,
) -> None:
    providers = [ACME | {"origins": ["https://login.acme.example:8443"]}]
    given = {"OIDC_PROVIDERS": json.dumps(providers), "GITHUB_CLIENT_ID": "1"}
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = read(GOOD | given | {"GITHUB_CLIENT_SECRET_FILE": str(secret)}, tmp_path)
    acme, github = config.issuers

    assert acme.origins == ("https://acme.example", "https://login.acme.example:8443")
    assert (acme.key, github.key, github.client_secret) == ("oidc/acme", "github", "hunter2")
    assert "hunter2" not in repr(config.issuers)

    plain = json.dumps([ACME | {"issuer": "http://127.0.0.1:9000"}])
    development = {"ENVIRONMENT": "development", "OIDC_PROVIDERS": plain}
    assert read(GOOD | development, tmp_path).issuers[0].origins == ("http://127.0.0.1:9000",)
