"""The published keys, as strangers get them."""

from typing import Any

import pytest
from django.test import Client

from accounts.tokens import ring
from tests.conftest import Clock
from tests.support.signing import PRIVATE_MEMBERS, queries

pytestmark = pytest.mark.django_db

JWKS = "/.well-known/jwks.json"


def test_every_key_is_published_without_a_private_member(client: Client, configure: Any) -> None:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        configure(token_algorithm=algorithm)
        ring.rotate()

    answer = client.get(JWKS)

    assert answer["Content-Type"] == "application/json"
    published = answer.json()["keys"]
    assert [jwk["alg"] for jwk in published] == ["RS256", "ES256", "EdDSA"]
    for jwk in published:
        assert not set(jwk) & PRIVATE_MEMBERS
        assert jwk["use"] == "sig"


def test_the_keys_are_read_without_a_query_and_sent_again_when_they_have_changed(
    client: Client, clock: Clock
) -> None:
    first = client.get(JWKS)
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
    ring.rotate()

    answer = client.get(JWKS, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer["ETag"] not in {tag, ""}
    for method in (client.post, client.put, client.delete):
        assert method(JWKS).status_code == 405
