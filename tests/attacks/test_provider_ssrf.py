"""A provider cannot make the server connect to the private network (SSRF) or follow a redirect.

In these tests the IP address of the test's own provider counts as public.
"""

import socket
from typing import Any

import pytest
from django.test import Client

from accounts.common import client_info, http_client
from accounts.social import metadata
from accounts.users.models import User
from tests.support.openid_provider import OpenIDProvider
from tests.support.receiver import WITHIN
from tests.support.social import come_back, configured, go, round_trip

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/oidc/acme/login/"
PUBLIC = "127.0.0.1"
CALLED = ["token_endpoint", "jwks_uri", "userinfo_endpoint"]
ENDPOINTS = ["authorization_endpoint", *CALLED]


@pytest.fixture
def connections(monkeypatch):
    """The targets of all connections; those to other hosts than the provider are refused."""
    begun: list[tuple[Any, ...]] = []
    connect = socket.socket.connect

    def noted(self, address):
        begun.append(address[:2])
        if address[0] != PUBLIC:
            raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return begun


@pytest.fixture
def op(settings, monkeypatch):
    judge = client_info.is_public
    monkeypatch.setattr(http_client, "is_public", lambda a: a == PUBLIC or judge(a))
    with OpenIDProvider() as op:
        configured(settings, op.setting())
        yield op


def set_dns(monkeypatch, op, *answers):
    """Call the provider ``acme.test``, with these DNS answers; the last one repeats."""
    left = list(answers)

    def look_up(_host, port):
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(http_client, "_addresses", look_up)
    op.origin = op.issuer = op.origin.replace(PUBLIC, "acme.test")


@pytest.mark.parametrize("endpoint", CALLED)
def test_10_4_endpoints_of_a_public_issuer_cannot_be_in_the_private_network(
    op, connections, endpoint
):
    there = op.origin.removeprefix("http://")
    port = there.partition(":")[2]
    assert round_trip(Client(), op).url == "/"
    User.objects.all().delete()
    connections.clear()

    for host in WITHIN:
        metadata._known.clear()
        op.metadata = {endpoint: f"http://{host}:{port}/"}
        assert round_trip(Client(), op).status_code == 400, host

    assert {f"{host}:{port}" for host, port in connections} == {there}
    assert not User.objects.exists()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_that_is_no_http_url_is_refused(op, endpoint):
    for url in (
        *(
            "file:///etc/passwd",
            "ftp://acme.test/",
            "javascript:alert(1)",
            "//acme.test/",
            "/token",
        ),
        *("http://acme.test@127.0.0.2/", "http://a:b@acme.test/", "http://acme.test:0/", "http://"),
        *("http://acme.test:99999/", "http://[::1/", "", 5, ["http://acme.test/"], {}, False),
    ):
        op.metadata = {endpoint: url}
        assert Client().post(LOGIN).status_code == 400, url

    assert set(op.requests) == {"/.well-known/openid-configuration"}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_https_issuer_cannot_have_http_endpoints(op, settings, monkeypatch, endpoint):
    issuer = "https://acme.test"
    configured(settings, op.setting(issuer=issuer))
    right = {"issuer": issuer, **{name: f"{issuer}/{name}" for name in ENDPOINTS}}
    found = right | {endpoint: f"http://acme.test/{endpoint}"}
    monkeypatch.setattr(metadata, "_get", lambda _url: found)

    assert Client().post(LOGIN).status_code == 400
    found[endpoint] = f"{issuer}/{endpoint}"
    assert Client().post(LOGIN).status_code == 302


@pytest.mark.parametrize("said", ["{}/", "{}0", "https://mallory.example", None, ["{}"]], ids=str)
def test_a_discovery_document_of_another_issuer_is_refused(op, said):
    op.metadata = {"issuer": said.format(op.issuer) if isinstance(said, str) else said}

    assert Client().post(LOGIN).status_code == 400


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
)
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(op, path, status):
    """A redirect would pass on the code, secret or token, or lead to the private network."""

    def redirect(request):
        request.send_response(status)
        request.send_header("Location", f"{op.origin}/evil")
        request.send_header("Content-Length", "0")
        request.end_headers()

    op.instead[path] = redirect
    browser = Client()
    answer = browser.post(LOGIN)
    if answer.status_code == 302:
        answer = come_back(browser, op.answer(answer.url))

    assert answer.status_code == 400
    assert op.count(path) == 1
    assert op.count("/evil") == 0
    assert not User.objects.exists()


def test_dns_rebinding_does_not_reach_the_private_network(op, settings, connections, monkeypatch):
    """The name gets another IP address between discovery and the token request."""
    set_dns(monkeypatch, op, [PUBLIC], ["127.0.0.2"])
    configured(settings, op.setting())
    browser = Client()

    assert come_back(browser, op.answer(go(browser))).status_code == 400

    assert {host for host, _port in connections} == {PUBLIC}
    assert op.count("/token") == 0


def test_a_private_ip_address_beside_a_public_one_is_not_contacted(
    op, settings, connections, monkeypatch
):
    set_dns(monkeypatch, op, ["127.0.0.2", PUBLIC])
    configured(settings, op.setting())
    browser = Client()
    url = go(browser)
    connections.clear()

    assert come_back(browser, op.answer(url)).url == "/"

    assert {host for host, _port in connections} == {PUBLIC}


def test_proxies_of_the_environment_are_not_used(op, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:1")

    assert round_trip(Client(), op).url == "/"
