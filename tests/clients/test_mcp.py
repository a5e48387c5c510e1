"""The MCP server of ``docs/sign-in-with.md``, run as the page prints it, and the SDK's client."""

import json
import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.clients.apps import APPS, HERE, SETTINGS, TRUST, register
from tests.support.clients.terminal import agree, shown
from tests.support.document_host import DocumentHost
from tests.support.https import ProductionSite
from tests.support.node import node, packages
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT, Client
from tests.support.steps import PASSWORD, join
from tests.support.virtualenvs import environment

NAME = "mcp_server.py"
PORT = free_port()
# Tokens are for this URL, so the site must know the port.
MCP_SERVER = f"http://127.0.0.1:{PORT}/mcp"
# Python imports a ``sitecustomize`` module at each start. The host of documents is on this machine,
# but the site reads documents from public IP addresses only.
PUBLIC = """
from accounts.common import http_client
judge, look_up = http_client.is_public, http_client._addresses
http_client.is_public = lambda ip: ip == "127.0.0.1" or judge(ip)
http_client._addresses = lambda host, port: look_up("127.0.0.1", port)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with DocumentHost(tmp_path_factory.mktemp("host")) as host:
        host.reset()
        yield host


@pytest.fixture(scope="module")
def production(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    (folder / "sitecustomize.py").write_text(PUBLIC)
    settings = SETTINGS | {
        "CA_FILE": str(host.authority),
        "CLIENT_METADATA_AUDIENCES": MCP_SERVER,
        "CLIENT_METADATA_HOSTS": urlsplit(host.client_id).netloc,
        "PYTHONPATH": f"{folder}:{ROOT}",
        "TOKEN_AUDIENCES": MCP_SERVER,
    }
    with ProductionSite(folder, **settings) as running:
        yield running


@pytest.fixture
def server(production, tmp_path):
    """The MCP server, and a client for it."""
    (tmp_path / NAME).write_text(APPS[NAME][1])
    env = os.environ | dict.fromkeys(TRUST, str(production.authority))
    env |= {"ISSUER": production.origin, "RESOURCE": MCP_SERVER}
    uvicorn = environment(HERE / "requirements.txt") / "uvicorn"
    command = [uvicorn, "mcp_server:app", "--port", str(PORT)]
    with Process(command, tmp_path / "server", env=env, cwd=tmp_path) as process:
        process.wait_until(lambda: listening(PORT), NAME)
        yield Client(f"http://127.0.0.1:{PORT}")
        process.stop()


def assistant(production, folder, **options):
    """Start a client of the MCP server, which knows only its URL, and itself by ``options``."""
    there = packages(HERE).parent
    shutil.copy(HERE / "mcp.mjs", there)
    env = os.environ | dict.fromkeys(TRUST, str(production.authority))
    env["OPTIONS"] = json.dumps({"server": MCP_SERVER} | options)
    return Process([node(), there / "mcp.mjs"], folder / "assistant", env=env)


def call(server, token=""):
    """Return the answer of the MCP server to a request with ``token``."""
    kinds = "application/json, text/event-stream"
    headers = {"Content-Type": "application/json", "Accept": kinds}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    return server.request("POST", urlsplit(MCP_SERVER).path, body=body, headers=headers)


def outcome(running):
    """Return the people for whom the client has called the tool, and its access token."""
    assert running.wait() == 0, running.log()
    found = json.loads(running.log().splitlines()[-1])
    return found["people"], found["token"]


def id_at(site, token):
    """Return the ID of the person, as an access token for the site tells it."""
    headers = {"Authorization": f"Bearer {token}"}
    return str(site.client().get("/api/v1/me/", headers=headers).json().get("id", ""))


@pytest.mark.proof
def test_a_registered_mcp_client_calls_a_tool_for_alice_and_renews_its_tokens(
    production, server, tmp_path
):
    alice = production.client()
    join(production, alice, "mcp-alice")
    registered = register(production, NAME, **{"https://mcp.example.org/mcp": MCP_SERVER})
    form = json.dumps({"username": "mcp-alice", "password": PASSWORD}).encode()
    sent = {"body": form, "headers": {"Content-Type": "application/json"}}
    for_site = production.client().request("POST", "/api/v1/token/", **sent).json()["access"]

    refused = call(server)
    assert refused.status == 401
    (url,) = re.findall(r'resource_metadata="([^"]+)"', refused.headers["WWW-Authenticate"])
    metadata = server.get(urlsplit(url).path).json()
    assert metadata["resource"] == MCP_SERVER
    assert metadata["authorization_servers"] == [production.origin]
    with assistant(production, tmp_path, client=registered["client_id"]) as running:
        agree(alice, shown(running, r"https://\S+/oauth/authorize\S+"))
        people, token = outcome(running)

    assert people == [id_at(production, for_site)] * 2
    assert call(server, token).status == 400, "the token is good, but there is no MCP session"
    assert call(server, for_site).status == 401, "a token for another service"
    assert call(server, token[:-8] + "AAAAAAAA").status == 401
    assert id_at(production, token) == "", "the token is for the MCP server only"


@pytest.mark.proof
def test_an_mcp_client_that_nobody_has_registered_signs_bob_in_by_its_metadata_document(
    production, server, host, open_page, tmp_path
):
    join(production, production.client(), "mcp-bob")
    page = open_page(production, ignore_https_errors=True)

    with assistant(production, tmp_path, document=host.client_id) as running:
        page.goto(shown(running, r"https://\S+/oauth/authorize\S+"))
        assert host.count == 0, "nothing is read for a stranger"
        page.fill("[name=login]", "mcp-bob")
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("main")).to_contain_text(urlsplit(host.client_id).netloc)
        page.get_by_role("button", name="Allow").click()
        expect(page.locator("body")).to_have_text("You can close this window.")
        people, token = outcome(running)

    assert len(people) == 2
    assert call(server, token).status == 400, "the token is good, but there is no MCP session"
    assert id_at(production, token) == ""
    assert host.count == 1
