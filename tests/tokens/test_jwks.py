"""The published JWK Set: its members and how it is cached."""

from typing import Any

import pytest
from django.test import Client

from accounts.tokens import keyring
from tests.support.clock import Clock
from tests.support.signing import queries

pytestmark = pytest.mark.django_db

JWKS = "/.well-known/jwks.json"
# The members of a JWK that belong to a private key (RFC 7518 section 6, RFC 8037 section 2).
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def test_the_jwks_has_no_private_member_of_any_key(client: Client, configure: Any) -> None:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        configure(token_algorithm=algorithm)
        keyring.rotate()

    answer = client.get(JWKS)

    assert answer["Content-Type"] == "application/json"
    published = answer.json()["keys"]
    assert [jwk["alg"] for jwk in published] == ["RS256", "ES256", "EdDSA"]
    for jwk in published:
        assert not set(jwk) & PRIVATE_MEMBERS
        assert jwk["use"] == "sig"


def test_the_jwks_is_served_without_a_query_and_its_etag_changes_with_the_keys(
    client: Client, clock: Clock
) -> None:
    first = client.get(JWKS)
    assert "Vary" not in first, "shared caches keep one copy for all clients"
    tag = first["ETag"]

    with queries() as asked:
        second, head = client.get(JWKS), client.head(JWKS)
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            answer = client.get(JWKS, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
            assert answer["Cache-Control"] == "public, max-age=300"
    assert len(asked) == 0
    assert (second.content, second["Cache-Control"]) == (first.content, "public, max-age=300")
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", tag)
    assert not second.cookies
    keyring.rotate()

    answer = client.get(JWKS, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer["ETag"] not in {tag, ""}
    for method in (client.post, client.put, client.delete):
        assert method(JWKS).status_code == 405
