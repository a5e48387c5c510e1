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


def test_a_first_fetch_makes_the_key_and_any_further_one_asks_nothing(client: Client) -> None:
    first = client.get(JWKS)

    with queries() as asked:
        second = client.get(JWKS)

    assert len(asked) == 0
    assert second.content == first.content
    assert second["Cache-Control"] == "public, max-age=300"
    assert not second.cookies


def test_who_has_the_keys_already_is_told_so_until_they_change(
    client: Client, clock: Clock
) -> None:
    tag = client.get(JWKS)["ETag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = client.get(JWKS, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
        assert answer["Cache-Control"] == "public, max-age=300"

    ring.rotate()

    answer = client.get(JWKS, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer["ETag"] not in {tag, ""}


def test_the_keys_are_there_to_be_read_only(client: Client) -> None:
    head = client.head(JWKS)

    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == client.get(JWKS)["ETag"]
    for method in (client.post, client.put, client.delete):
        assert method(JWKS).status_code == 405
