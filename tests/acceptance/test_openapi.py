"""The description of the API, and its examples."""

import re

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator

from accounts.activity.services import Actor
from accounts.oauth import connections
from accounts.ops.schema import CONFLICTS, EXAMPLES
from accounts.users.models import User, Username
from tests.support.administration import member, staff_token
from tests.support.api_browser import HEADERS, App
from tests.support.apps import asked_for, make_app
from tests.support.openapi import METHODS, SCHEMA, Json, operations, resolve
from tests.support.routes import ROUTES
from tests.support.second_factor import enrolled, unused_code
from tests.support.steps import code_in, mail_to, make_user
from tests.support.urls import OPEN

pytestmark = pytest.mark.django_db


# These serve the description and are not part of it.
DESCRIPTIONS = {"schema/", "docs/"}
# Statuses that any call may answer.
ALWAYS = {"400", "401", "403", "405", "413", "429", "503"}
# The form of ids that drf-spectacular generates.
UNCHOSEN = re.compile(r"_(list|create|retrieve|update|destroy)$")


@pytest.fixture(scope="module")
def described():
    answer = Client().get(SCHEMA)
    assert answer["Content-Type"] == "application/json"
    return dict(answer.json())


def test_the_description_is_valid_openapi_3_1_for_the_public_origin(described):
    OpenAPIV31SpecValidator(described).validate()
    SchemaGenerator().get_schema(request=None, public=True)

    assert not GENERATOR_STATS, "the generator has no warnings"
    assert described["openapi"].startswith("3.1")
    assert [server["url"] for server in described["servers"]] == ["http://localhost:8000"]


def test_the_description_has_exactly_the_routes_and_methods_of_the_api(described):
    routed = {
        ("/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)), method)
        for route in ROUTES
        if str(route.pattern) not in DESCRIPTIONS
        for method in METHODS
        if hasattr(getattr(route.callback, "cls", None), method)
    }

    assert {(path, method) for path, method, _ in operations(described)} == routed


def test_every_operation_has_a_summary_and_all_its_errors(described):
    for path, method, operation in operations(described):
        responses = operation["responses"]
        told = {status for status in responses if status >= "400"}
        expected = ALWAYS | ({"415"} if "requestBody" in operation else set())
        if any(known["in"] != "header" for known in operation.get("parameters", ())):
            expected |= {"404"}
        if operation["operationId"] in CONFLICTS:
            expected |= {"409"}
        assert expected <= told <= expected | {"404"}, (path, method)
        errors = {status: resolve(described, responses[status]) for status in told}
        for error in errors.values():
            assert "Error" in error["content"]["application/json"]["schema"]["$ref"]
        assert "WWW-Authenticate" in errors["401"]["headers"], (path, method)
        for later in ("429", "503"):
            assert "Retry-After" in errors[later]["headers"], (path, method)
        assert operation["summary"].strip(), (path, method)


def test_every_operation_has_a_chosen_id_a_described_tag_security_and_an_example(described):
    tags = {tag["name"] for tag in described["tags"] if tag["description"]}
    schemes = described["components"]["securitySchemes"].keys()
    ids = [operation["operationId"] for *_, operation in operations(described)]

    assert len(set(ids)) == len(ids)
    assert [name for name in ids if UNCHOSEN.search(name)] == []
    assert set(ids) == EXAMPLES.keys()
    for *_, operation in operations(described):
        assert set(operation["tags"]) <= tags
        assert {name for way in operation["security"] for name in way} <= schemes


def test_only_anonymous_calls_are_described_as_open(described):
    """A generated client sends credentials only where the description wants them."""
    opened = {
        path.removeprefix("/")
        for path, _, operation in operations(described)
        if "access_token" not in str(operation["security"])
    }

    assert opened == {path for path in OPEN if path.startswith("api/")} - {
        f"api/v1/{path}" for path in DESCRIPTIONS
    }


# Members whose values differ in every answer.
VARYING = {
    *("id", "access", "refresh", "key", "challenge", "count", "session", "sid", "sub", "jti"),
    *("date_joined", "at", "begun_at", "created_at", "made_at", "used_at", "expires_at", "ends_at"),
    *("client_id", "since", "auth_time", "iat", "nbf", "exp", "address", "device"),
}


def shape(value, name=""):
    """Replace varying values by their types and a list of results by its first row."""
    if isinstance(value, dict):
        return {member: shape(of, member) for member, of in value.items()}
    if name == "results":
        return shape(value[0])
    return type(value) if name in VARYING else value


class ExampleSender:
    """Sends the example requests, with values from earlier answers in place of the examples'."""

    def __init__(self):
        self.described: Json = Client().get(SCHEMA).json()
        self.app = App(Client())
        self.known: dict[str, str] = {}
        self.sent: set[str] = set()
        self.operations = {
            operation["operationId"]: (path.removeprefix("/api/v1/"), method, operation)
            for path, method, operation in operations(self.described)
        }

    def send(self, name, status="", **known):
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

        def call(**more):
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


def test_the_api_answers_every_openapi_example_as_described():
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
