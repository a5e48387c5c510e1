"""Races between requests of a directory at two server processes."""

import json

import pytest

from tests.support.nodes import AT_ONCE, POSTGRES_PROVED, database, running
from tests.support.scim import MEDIA_TYPE, person
from tests.support.site import together

pytestmark = pytest.mark.proof
ROUNDS = 5


@pytest.fixture(params=POSTGRES_PROVED)
def nodes(request):
    with running(**database(request, request.param)) as nodes:
        yield nodes


def test_simultaneous_requests_of_a_directory_lose_and_repeat_nothing(nodes):
    """Withstands a race."""
    token = json.loads(nodes[0].manage("scim_token", "Okta", "--json"))["scim_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE}

    def call(i, method, path, data=None, **more):
        body = json.dumps(data).encode() if data else None
        given = headers | {name.replace("_", "-"): text for name, text in more.items()}
        client = nodes[i % 2].client()
        return client.request(method, f"/scim/v2/{path}", body=body, headers=given)

    def at_once(*args, **more):
        return sorted(together(AT_ONCE, lambda i: call(i, *args, **more).status))

    for n in range(ROUNDS):
        name = f"alice{n}"
        assert at_once("POST", "Users", person(name)) == [201] + [409] * (AT_ONCE - 1)
        people = [call(i, "POST", "Users", person(f"{name}x{i}")).json() for i in range(AT_ONCE)]
        group = call(0, "POST", "Groups", {"displayName": name}).json()["id"]

        def add(i, people=people, group=group):
            value = [{"value": people[i]["id"]}]
            patch = {"Operations": [{"op": "add", "path": "members", "value": value}]}
            return call(i, "PATCH", f"Groups/{group}", patch).status

        assert set(together(AT_ONCE, add)) == {200}
        assert len(call(0, "GET", f"Groups/{group}").json()["members"]) == AT_ONCE
        alice = people[0]
        off = {"Operations": [{"op": "replace", "value": {"active": False}}]}
        etag = call(0, "GET", f"Users/{alice['id']}").headers["ETag"]
        statuses = at_once("PATCH", f"Users/{alice['id']}", off, If_Match=etag)
        assert statuses == [200] + [412] * (AT_ONCE - 1)
        assert at_once("DELETE", f"Users/{alice['id']}") == [204] + [404] * (AT_ONCE - 1)
