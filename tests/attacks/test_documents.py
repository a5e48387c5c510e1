"""Metadata documents of apps, as a way into the private network, or to fill or flood the site."""

import socket
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from accounts.oauth.models import Client, UnreadRequest
from accounts.throttle.limits import METADATA_NETWORK, METADATA_PERSON
from accounts.users.models import User
from tests.support.app_documents import ASK, refuses
from tests.support.authorize import (
    AUTHORIZE,
    address,
    allow,
    begin,
    page_of_request,
    push,
    query,
    result,
)
from tests.support.clock import Clock
from tests.support.document_host import HERE, HOST, DocumentHost, resolve
from tests.support.oauth_client import App
from tests.support.receiver import say
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def browser(alice: User) -> Browser:
    return signed_in(alice)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The IP addresses that the site connects to; others than the host's refuse connections."""
    begun: set[str] = set()
    connect = socket.socket.connect

    def noted(self: socket.socket, to: Any) -> None:
        begun.add(to[0])
        if to[0] != HERE:
            raise ConnectionRefusedError
        connect(self, to)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return begun


def test_a_document_in_the_private_network_is_not_read(
    host: DocumentHost,
    browser: Browser,
    connections: set[str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_up(settings, limits_scale=1000)
    for ip in (
        *("127.0.0.2", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0"),
        *(
            "::1",
            "::ffff:127.0.0.2",
            "fd00:ec2::254",
            "fe80::1",
            "64:ff9b::7f00:2",
            "2002:7f00:2::",
        ),
    ):
        resolve(monkeypatch, [ip])
        assert refuses(host, browser), ip

    assert (connections, host.count) == (set(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        *("https://{}", "https://{}/", "http://{}/client.json", "https://{}//client.json"),
        *("https://{}/../client.json", "https://{}/a/./client.json", "https://{}/a/.."),
        *(
            "https://{}/%2e%2e/client.json",
            "https://{}/client.json?x=1",
            "https://{}/client.json#x",
        ),
        *("https://a@{}/client.json", "https://{}@mallory.example/", "https://{}:443/client.json"),
        *("https://{}.mallory.example/client.json", "https://mallory.example/{}", "https://x.{}/c"),
        *(
            "HTTPS://{}/client.json",
            "https://{}\\client.json",
            "https://{}/cl ient",
            "https://{}/\0",
        ),
        *(
            "https://APP.localhost/client.json",
            "https://app.localhost./c",
            "https://app.localhost:8/c",
        ),
        *(
            "https:///client.json",
            "https://{}/" + "x" * 255,
            "https://\uff41pp.localhost/c",
            "https:",
        ),
        *("https://{}/\ud83d", "https://10.0.0.1/client.json", "https://[::1]/client.json"),
    ],
)
def test_only_exact_urls_at_the_hosts_of_the_setting_are_read(
    host: DocumentHost, browser: Browser, connections: set[str], wrong: str
) -> None:
    client_id = wrong.format(f"{HOST}:{host.port}")

    answer = browser.get(AUTHORIZE, {"client_id": client_id.encode("utf-8", "replace")})

    assert (answer.status_code, connections) == (400, set())
    assert not UnreadRequest.objects.exists()


def test_strangers_cause_no_request_at_any_endpoint(host: DocumentHost) -> None:
    stranger, app = Browser(), host.app
    page = begin(stranger, app, **ASK)
    stranger.get(page_of_request(page))
    stranger.post(page_of_request(page), {"act": "allow"})
    assert begin(stranger, app, **ASK, prompt="none").status_code == 400
    Browser().post(AUTHORIZE, {"client_id": host.client_id})
    assert push(app, **ASK).json()["error"] == "invalid_client"
    client = App(app)
    assert client.redeem("x").error == "invalid_client"
    assert client.refresh("x").error == "invalid_client"
    assert client.revoke("x").error == "invalid_client"
    assert client.post("/oauth/device_authorization", scope="openid").error == "invalid_client"

    assert (host.count, Client.objects.count()) == (0, 0)


def test_strangers_cannot_store_waiting_requests_without_bound(
    host: DocumentHost, settings: Any, clock: Clock
) -> None:
    set_up(settings, limits_scale=0.02)
    for _ in range(10):
        Browser().get(address(host.app, **ASK))
    assert UnreadRequest.objects.count() < 10

    clock.advance(hours=1)
    call_command("prune")

    assert not UnreadRequest.objects.exists()


def test_a_stranger_stores_no_huge_waiting_request(host: DocumentHost) -> None:
    many = {f"p{i}": "x" * 8000 for i in range(5)}

    answer = Browser().get(address(host.app, **ASK, **many))

    assert (answer.status_code, UnreadRequest.objects.count()) == (400, 0)


def test_the_limit_of_a_network_stops_nobody_there_who_uses_a_known_app(
    host: DocumentHost, browser: Browser, clock: Clock, settings: Any
) -> None:
    bob = signed_in(make_user("bob"))
    set_up(settings, limits_scale=1 / METADATA_NETWORK.burst)
    assert begin(browser, host.app, **ASK).status_code == 200
    Client.objects.update(document_due_at=clock.now())

    unknown = Client(pk=host.url("/none.json", HOST))
    assert bob.get(address(unknown, **ASK)).status_code == 429
    assert begin(bob, host.app, **ASK).status_code == 200
    assert host.count == 1


def test_a_page_of_another_site_cannot_break_the_open_requests_of_a_browser(
    host: DocumentHost, browser: Browser, clock: Clock
) -> None:
    """Browsers send no cookies with its POST, but would store a cookie of the answer."""
    page = begin(browser, host.app, **ASK)
    Client.objects.update(document_due_at=clock.now())

    answer = Browser().post(AUTHORIZE, query(host.app, **ASK))

    assert answer["Location"] == address(host.app, **ASK)
    browser.cookies.update(answer.cookies)
    assert "code" in result(allow(browser, page))


def test_another_browser_cannot_continue_a_request_that_waits(
    host: DocumentHost, browser: Browser
) -> None:
    page = begin(Browser(), host.app, **ASK)

    assert browser.get(page_of_request(page)).status_code == 400
    assert host.count == 0


def test_images_and_frames_of_other_sites_cause_no_request(
    host: DocumentHost, browser: Browser
) -> None:
    for kind in ("image", "iframe", "empty"):
        answer = browser.get(address(host.app, **ASK), headers={"Sec-Fetch-Dest": kind})
        assert answer.status_code == 400

    assert (host.count, UnreadRequest.objects.count()) == (0, 0)


def test_a_person_causes_few_requests(host: DocumentHost, browser: Browser, clock: Clock) -> None:
    host.answers["/client.json"] = say(404)

    statuses = [browser.get(address(host.app, **ASK)).status_code for _ in range(12)]

    assert statuses == [400] * METADATA_PERSON.burst + [429] * 2
    assert host.count == METADATA_PERSON.burst
