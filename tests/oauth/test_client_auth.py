"""How clients authenticate at the endpoints: one method for each client, and limits for floods."""

import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from accounts.activity.services import Actor
from accounts.common.errors import RateLimited
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.authentication import authenticate
from accounts.oauth.models import Client
from accounts.oauth.protocol import OAuthError, form_of
from tests.support.apps import WEB

pytestmark = pytest.mark.django_db


def confidential(name: str = "Paperless", **fields: Any) -> tuple[Client, str]:
    client = Client(name=name, redirect_uris=[WEB], **fields)
    return client, clients.create(client, Actor(name="@operator"))


def public() -> Client:
    client = Client(name="Cli", redirect_uris=[WEB], is_public=True)
    clients.create(client, Actor(name="@operator"))
    return client


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def request(authorization: str = "", ip: str = "192.0.2.1", **form: str) -> HttpRequest:
    headers = {"Authorization": authorization} if authorization else {}
    return RequestFactory(REMOTE_ADDR=ip).post(
        "/oauth/token",
        urlencode({"grant_type": "any"} | form),
        content_type="application/x-www-form-urlencoded",
        headers=headers,
    )


def found(*arguments: str, **form: str) -> Client | str:
    """Return the client that authenticates, or the error."""
    sent = request(*arguments, **form)
    try:
        return authenticate(sent, form_of(sent))
    except OAuthError as error:
        return error.error


def test_each_client_authenticates_by_the_methods_of_its_kind() -> None:
    paperless, secret = confidential()
    cli = public()

    assert found(basic(paperless.pk, secret)) == paperless
    assert found(basic(paperless.pk, secret), client_id=paperless.pk) == paperless
    assert found(client_id=paperless.pk, client_secret=secret) == paperless
    assert found(client_id=cli.pk) == cli
    assert found(basic(cli.pk, "")) == cli


def test_the_parts_of_http_basic_are_decoded_as_a_form() -> None:
    odd = "https://app.example/a+b c:%"
    paperless, secret = confidential(id=odd)

    assert found(basic(quote_plus(odd), quote_plus(secret))) == paperless
    assert found(basic(odd, secret)) == "invalid_client"
    for broken in ("%ff", "%00", "\u00e9"):
        assert found(basic(broken, secret)) == "invalid_client"
    for value in ("Basic", "Basic !", "Basic eA==", "Bearer x", "Basic "):
        assert found(value) == "invalid_client"


def test_two_methods_at_once_are_refused() -> None:
    paperless, secret = confidential()
    other, other_secret = confidential("Wiki")
    header = basic(paperless.pk, secret)

    assert found(header, client_id=paperless.pk, client_secret=secret) == "invalid_request"
    assert found(header, client_id=other.pk) == "invalid_request"
    for name in ("client_assertion", "client_assertion_type"):
        assert found(header, **{name: "x"}) == "invalid_request"
        form = {"client_id": paperless.pk, "client_secret": secret, name: "x"}
        assert found(**form) == "invalid_request"
    assert found(client_id=paperless.pk, client_secret=other_secret) == "invalid_client"


def test_public_clients_have_no_secret_and_others_need_theirs() -> None:
    paperless, secret = confidential()
    cli = public()

    assert found() == "invalid_client"
    assert found(client_id=paperless.pk) == "invalid_client"
    assert found(client_id=cli.pk, client_secret=secret) == "invalid_client"
    assert found(basic(paperless.pk, "")) == "invalid_client"
    Client.objects.update(is_public=True)
    assert found(client_id=paperless.pk, client_secret=secret) == "invalid_client"


def test_a_disabled_client_is_refused() -> None:
    paperless, secret = confidential()
    cli = public()
    for client in (paperless, cli):
        clients.set_enabled(client, Actor(), enabled=False)

    assert found(basic(paperless.pk, secret)) == "invalid_client"
    assert found(client_id=cli.pk) == "invalid_client"


def test_wrong_secrets_are_limited_and_never_stop_the_client_itself() -> None:
    paperless, secret = confidential()
    wrong = basic(paperless.pk, f"{secret}x")

    def flood() -> int:
        for count in range(100):
            try:
                assert found(wrong) == "invalid_client"
            except RateLimited:
                return count
        return 100

    assert 10 < flood() < 30
    assert found(basic(paperless.pk, secret)) == paperless
    assert found(wrong, "198.51.100.7") == "invalid_client"
