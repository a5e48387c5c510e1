"""The API answers each example request of its description with the example response."""

from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.oauth import connections
from accounts.users.models import User, Username
from tests.support.administration import member, staff_token
from tests.support.api import Answer
from tests.support.api_browser import HEADERS, App
from tests.support.apps import asked_for, make_app
from tests.support.openapi import SCHEMA, Json, operations, resolve
from tests.support.second_factor import enrolled, unused_code
from tests.support.steps import code_in, mail_to, make_user

pytestmark = pytest.mark.django_db

# Members whose values differ in every answer.
VARYING = {
    *("id", "access", "refresh", "key", "challenge", "count", "session", "sid", "sub", "jti"),
    *("date_joined", "at", "begun_at", "created_at", "made_at", "used_at", "expires_at", "ends_at"),
    *("client_id", "since", "auth_time", "iat", "nbf", "exp", "address", "device"),
}


def shape(value: Any, name: str = "") -> Any:
    """Replace varying values by their types and a list of results by its first row."""
    if isinstance(value, dict):
        return {member: shape(of, member) for member, of in value.items()}
    if name == "results":
        return shape(value[0])
    return type(value) if name in VARYING else value


class ExampleSender:
    """Sends the example requests, with values from earlier answers in place of the examples'."""

    def __init__(self) -> None:
        self.described: Json = Client().get(SCHEMA).json()
        self.app = App(Client())
        self.known: dict[str, str] = {}
        self.sent: set[str] = set()
        self.operations = {
            operation["operationId"]: (path.removeprefix("/api/v1/"), method, operation)
            for path, method, operation in operations(self.described)
        }

    def send(self, name: str, status: str = "", **known: str) -> Answer:
        """Send the example of an operation and check that the answer has the described form.

        If the operation needs credentials, it is first called without them.
        """
        self.known |= known
        self.sent.add(name)
        path, method, operation = self.operations[name]
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        body = media.get("example")
        if body is not None:
            body = {member: self.known.get(member, of) for member, of in body.items()}

        def call(**more: str) -> Answer:
            self.app.headers = HEADERS | more
            return self.app.call(path.format_map(self.known), body, method=method.upper())

        if any("access_token" in scheme for scheme in operation["security"]):
            assert call().code == "not_authenticated"
            answer = call(Authorization=f"Bearer {self.known['access']}")
        else:
            answer = call()
        status = status or min(operation["responses"])
        response = operation["responses"][status]
        response = resolve(self.described, response) if "$ref" in response else response
        example = response.get("content", {}).get("application/json", {}).get("example")
        assert (answer.status, shape(answer.body)) == (int(status), shape(example)), name
        return answer


def test_the_api_answers_every_openapi_example_as_described() -> None:
    sender = ExampleSender()
    send = sender.send

    alice = send("sign_up")["id"]
    send("resend_email")
    send("verify_email", code=code_in(mail_to("alice")))
    tokens = send("sign_in").body
    send("verify_token", token=tokens["access"])
    access = send("renew_token", refresh=tokens["refresh"])["access"]
    send("get_me", access=access)
    send("get_user", id=alice)
    key = send("create_key")["id"]
    send("list_keys")
    send("get_key", id=key)
    send("revoke_key")
    session = send("list_sessions")["results"][0]["id"]
    app = make_app()
    asked = asked_for(app, "openid email", "http://localhost:8000")
    connections.agree(asked, User.objects.get(), Actor())
    send("list_apps")
    send("disconnect_app", client_id=app.pk)
    send("update_me")
    send("list_activity")
    send("revoke_session", id=session)

    send("sign_in_browser")
    send("renew_browser_session")
    send("end_browser_session")

    User.objects.update(emailed_codes=True)
    enrolled(User.objects.get())
    challenge = send("sign_in", "401")["challenge"]
    refresh = send("complete_sign_in", challenge=challenge, code=unused_code(User.objects.get()))
    send("revoke_token", token=refresh["refresh"])

    Username.objects.all().delete()
    User.objects.all().delete()
    enrolled(member("carol", "Manager"))
    alice = str(make_user("alice").pk)
    send("find_users", access=staff_token("carol"), q="alice")
    send("get_account", id=alice)
    send("act_on_account", act="deactivate")
    invitation = send("invite", email="dave@example.org")["id"]
    send("list_invitations")
    send("revoke_invitation", id=invitation)

    assert sender.sent == sender.operations.keys()
