"""Call the API as a script in a browser does, with the refresh token in a cookie."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from tests.support.api import Answer
from tests.support.openapi import assert_described
from tests.support.steps import PASSWORD

ORIGIN = "http://localhost:8000"
HEADERS = {"X-Requested-With": "authsite", "Origin": ORIGIN}


@dataclass
class App:
    """A script in process; ``headers`` are what the browser and the script send with each call."""

    client: Client = field(default_factory=Client)
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))

    def call(
        self, path: str, data: Any = None, *, method: str = "POST", body: str | bytes = ""
    ) -> Answer:
        """Call ``path`` below ``/api/v1/`` and check the answer against the OpenAPI description."""
        sent = json.dumps(data) if data is not None else body
        made: Any = self.client.generic(
            method, f"/api/v1/{path}", sent, "application/json", headers=self.headers
        )
        media_type = made.headers.get("Content-Type")
        assert_described(f"/api/v1/{path}", method, made.status_code, media_type, made.content)
        return Answer(made.status_code, dict(made.headers), made.content)

    def sign_in(self, name: str = "alice", **more: Any) -> Answer:
        """Sign in with the password."""
        return self.call("session/", {"username": name, "password": PASSWORD, **more})

    def second_step(self, challenge: str, **more: Any) -> Answer:
        """Complete a sign-in by ``code="…"``, or request a mailed code by ``method="email"``."""
        return self.call("session/", {"challenge": challenge, **more})

    def renew(self, **token_request: Any) -> Answer:
        """Renew the tokens with the refresh cookie."""
        return self.call("session/refresh/", token_request)

    def sign_out(self) -> Answer:
        """Revoke the session of the refresh cookie."""
        return self.call("session/", method="DELETE")

    @property
    def cookie(self) -> Any:
        """The refresh cookie as an answer set it last, with its attributes."""
        return self.client.cookies["refresh"]

    @property
    def refresh(self) -> str:
        """The refresh token, or an empty string. A real script cannot read it."""
        morsel = self.client.cookies.get("refresh")
        return morsel.value if morsel else ""

    @refresh.setter
    def refresh(self, token: str) -> None:
        self.client.cookies["refresh"] = token
