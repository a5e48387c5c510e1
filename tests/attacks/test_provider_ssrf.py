"""A provider cannot make the server connect to the private network (SSRF) or follow a redirect.

In these tests the IP address of the test's own provider counts as public.
"""

import pytest
from django.test import Client

from accounts.social import metadata
from accounts.users.models import User
from tests.support.document_host import resolve
from tests.support.openid_provider import OpenIDProvider
from tests.support.receiver import PUBLIC, WITHIN
from tests.support.social import come_back, configured, go, round_trip
from tests.support.standards import proves

LOGIN = "/accounts/oidc/acme/login/"
PATHS = ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
CALLED = ["token_endpoint", "jwks_uri", "userinfo_endpoint"]
ENDPOINTS = ["authorization_endpoint", *CALLED]


@pytest.fixture
def op(settings, connections):
    with OpenIDProvider() as op:
        configured(settings, op.setting())
        yield op


def use_dns(monkeypatch, settings, op, *answers):
    """Call the provider ``acme.test``, with these DNS answers; the last one repeats."""
    resolve(monkeypatch, *answers)
    op.origin = op.issuer = op.origin.replace(PUBLIC, "acme.test")
    configured(settings, op.setting())


@proves("V1.3.6", "V13.2.5")
@pytest.mark.parametrize("endpoint", CALLED)
def test_10_4_endpoints_of_a_public_issuer_cannot_be_in_the_private_network(
    op, connections, endpoint
):
    """Withstands a malicious server: SSRF."""
    port = op.origin.rpartition(":")[2]
    assert round_trip(Client(), op).url == "/"
    User.objects.all().delete()
    connections.clear()

    for host in WITHIN:
        metadata._known.clear()
        op.metadata = {endpoint: f"http://{host}:{port}/"}
        assert round_trip(Client(), op).status_code == 400, host

    assert set(connections) == {PUBLIC}
    assert not User.objects.exists()


@proves("V4.2.5")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_that_is_no_http_url_is_refused(op, endpoint):
    for url in (
        *("file:///etc/passwd", "javascript:alert(1)", "//acme.test/", "/token", "http://", ""),
        *("http://acme.test@127.0.0.2/", "http://a:b@acme.test/", "http://acme.test:0/"),
        *("http://acme.test:99999/", "http://[::1/", 5, ["http://acme.test/"], False),
    ):
        op.metadata = {endpoint: url}
        assert Client().post(LOGIN).status_code == 400, url

    assert set(op.requests) == {"/.well-known/openid-configuration"}


@proves("RFC9700-2.6-b")
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


@proves("V10.5.3")
@pytest.mark.parametrize("said", ["{}/", "{}0", "https://mallory.example", None, ["{}"]], ids=str)
def test_a_discovery_document_of_another_issuer_is_refused(op, said):
    op.metadata = {"issuer": said.format(op.issuer) if isinstance(said, str) else said}

    assert Client().post(LOGIN).status_code == 400


@proves("V15.3.2")
@pytest.mark.parametrize("path", PATHS)
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


@proves("V1.3.6")
def test_dns_rebinding_does_not_reach_the_private_network(op, settings, connections, monkeypatch):
    """Withstands a malicious server.

    The name gets another IP address between discovery and the token request.
    """
    use_dns(monkeypatch, settings, op, [PUBLIC], ["127.0.0.2"])
    browser = Client()

    assert come_back(browser, op.answer(go(browser))).status_code == 400

    assert set(connections) == {PUBLIC}
    assert op.count("/token") == 0


def test_a_private_ip_address_beside_a_public_one_is_not_contacted(
    op, settings, connections, monkeypatch
):
    use_dns(monkeypatch, settings, op, ["127.0.0.2", PUBLIC])
    browser = Client()
    url = go(browser)
    connections.clear()

    assert come_back(browser, op.answer(url)).url == "/"

    assert set(connections) == {PUBLIC}


def test_proxies_of_the_environment_are_not_used(op, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:1")

    assert round_trip(Client(), op).url == "/"
