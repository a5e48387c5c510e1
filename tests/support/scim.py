"""Requests of a directory to the SCIM server."""

import json
from typing import Any

from django.test import Client

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.scim import services
from accounts.scim.models import Directory

ACTOR = Actor(name=OPERATOR)
MEDIA_TYPE = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]


class Answer:
    """An answer of the server. ``body``: the parsed JSON, or None."""

    def __init__(self, response: Any) -> None:
        self.status, self.headers = response.status_code, response.headers
        self.body: Any = json.loads(response.content or b"null")
        if self.status >= 400:
            self._check(response["Content-Type"])

    def _check(self, content_type: str) -> None:
        assert content_type == MEDIA_TYPE
        assert (self.body["schemas"], self.body["status"]) == ([ERROR], str(self.status))

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    @property
    def kind(self) -> str:
        """The ``scimType`` of an error; empty if it has none."""
        return self.body.get("scimType", "")

    @property
    def names(self) -> list[str]:
        """The names of the people or groups in a list."""
        rows = self.body["Resources"]
        return [row.get("userName") or row["displayName"] for row in rows]


class Scim:
    """A directory that calls the server with its ``token``."""

    def __init__(self, name: str = "Okta") -> None:
        self.directory = Directory(name=name)
        self.token = services.save(self.directory, ACTOR)

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """Send ``data``, as JSON unless it is bytes, to ``path`` below ``/scim/v2/``."""
        given = {"Authorization": f"Bearer {self.token}", "Accept": MEDIA_TYPE}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data)
        return Answer(Client().generic(method, f"/scim/v2/{path}", body, MEDIA_TYPE, headers=given))

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def add(self, user_name: str = "alice", **more: Any) -> str:
        """Create a person, and return the id."""
        made = self.call("POST", "Users", person(user_name, **more))
        assert made.status == 201, made.body
        return str(made["id"])

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> Answer:
        body = {"schemas": PATCH, "Operations": list(operations)}
        return self.call("PATCH", path, body, **headers)

    def set(self, id: str, **values: Any) -> Answer:
        """Replace attributes of a person, as a path-less operation does."""
        return self.patch(f"Users/{id}", {"op": "replace", "value": values})


def person(user_name: str = "alice", **more: Any) -> dict[str, Any]:
    """Return a person as directories send them."""
    email = f"{user_name.partition('@')[0]}@example.org"
    return {
        "schemas": [f"{CORE}User"],
        "userName": user_name,
        "name": {"givenName": "Alice", "familyName": "Archer"},
        "emails": [{"value": email, "type": "work", "primary": True}],
        "active": True,
        **more,
    }
