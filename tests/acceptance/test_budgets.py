"""What a page and a sign-in may cost."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.acceptance.steps import LOGIN, address_of, make_user, sign_in

KB = 1024


@pytest.mark.django_db
def test_the_sign_in_page_costs_a_stranger_no_query_no_session_and_15_kb(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        page = client.get(LOGIN)

    assert page.cookies.keys() == {"csrftoken"}
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.content.decode()))
    assert {name.rpartition(".")[2] for name in files} == {"css", "js", "svg"}
    sizes = {name: len(client.get(name).getvalue()) for name in files}
    assert len(page.content) + sum(sizes.values()) <= 15 * KB, sizes


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("login", ["alice", address_of("alice")])
@pytest.mark.parametrize("earlier, most", [(0, 16), (1, 15)], ids=["first time", "again"])
def test_a_good_sign_in_costs_one_hash_and_few_statements(
    client: Client, hashes: list[str], login: str, earlier: int, most: int
) -> None:
    make_user("alice")
    for _ in range(earlier):
        sign_in(client, "alice")
        client.cookies.pop("sessionid")
    hashes.clear()

    with CaptureQueriesContext(connection) as statements:
        response = sign_in(client, login, remember="on")

    assert response.url == "/"
    assert hashes == ["verify"]
    assert len(statements) <= most, [query["sql"] for query in statements]
