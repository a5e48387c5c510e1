"""The proxies in front of two nodes, behind a content delivery network, and with their limits.

The files are those of ``deploy/``, with the changes that their comments name.
"""

import os
import signal
import stat
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from authsite.serving.server import RETIRED_SECONDS, START_SECONDS
from tests.support.process import LATER_SECONDS, free_port, listening, within
from tests.support.proxies import EDGE, NAME, ORIGIN, Caddy, Nginx, recorded_ip
from tests.support.receiver import Server, say
from tests.support.site import production
from tests.support.steps import LOGIN

NODE = "# server 10.0.0.2:8000;"
CLIENT = "203.0.113.9"
FEW = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    with production(folder, ORIGIN, TRUSTED_PROXIES=f"127.0.0.1 {EDGE}") as running:
        yield running


class OtherNode(Server):
    """A node that answers each request with ``status``, and counts the requests by method.

    It is ready, unless it answers 503, and does not count the requests that ask it for that.
    """

    def __init__(self, status):
        super().__init__()
        self.status, self.asked = status, Counter[str]()
        self.place = f"127.0.0.1:{self.port}"

    def receive(self, request, _body):
        is_health = request.path == "/health/ready"
        self.asked[request.command] += not is_health
        say(200 if is_health and self.status != 503 else self.status)(request)


def nginx_with(folder, site, place):
    return Nginx(folder, site, {NODE: f"server {place};"})


def caddy_with(folder, site, place):
    changes = {"127.0.0.1:8000": f"127.0.0.1:{site.port}", "10.0.0.2:8000": place}
    return Caddy(folder, site, {"authsite-nodes.conf": changes})


each = pytest.mark.parametrize("with_node", [nginx_with, caddy_with], ids=["nginx", "caddy"])


@each
def test_a_node_without_a_new_static_file_passes_the_request_on(site, tmp_path, with_node):
    with OtherNode(404) as older, with_node(tmp_path, site, older.place) as proxy:
        answers = [proxy.client().get("/static/app.css") for _ in range(FEW)]
        missing = proxy.client().get("/static/no.css")

    assert older.asked["GET"] > 0
    assert {answer.status for answer in answers} == {200}
    assert missing.status == 404


@each
def test_a_node_that_is_away_costs_no_request(site, tmp_path, with_node):
    with with_node(tmp_path, site, f"127.0.0.1:{free_port()}") as proxy:
        statuses = {proxy.client().get(LOGIN).status for _ in range(FEW)}
        posts = {proxy.client().request("POST", LOGIN).status for _ in range(FEW)}

    assert (statuses, posts) == ({200}, {403})


def test_nginx_passes_what_a_node_refuses_on_but_no_post(site, tmp_path):
    with OtherNode(503) as other, nginx_with(tmp_path, site, other.place) as nginx:
        pages = {nginx.client().get(LOGIN).status for _ in range(FEW)}
        assert pages == {200}
        assert other.asked["GET"] > 0
    (tmp_path / "posts").mkdir()
    with OtherNode(503) as other, nginx_with(tmp_path / "posts", site, other.place) as nginx:
        posts = Counter(nginx.client().request("POST", LOGIN).status for _ in range(FEW))

    assert other.asked["POST"] == posts[503] > 0
    assert posts.keys() == {403, 503}, "the site refuses a form without a CSRF token"


def test_caddy_sends_nothing_to_a_node_that_is_not_ready(site, tmp_path):
    with OtherNode(503) as other, caddy_with(tmp_path, site, other.place) as caddy:

        def pages():
            return {caddy.client().get(LOGIN).status for _ in range(FEW)}

        # Caddy asks each node when it starts, but does not wait for the answer.
        assert within(LATER_SECONDS, lambda: pages() == {200})
        before = other.asked.copy()
        posts = {caddy.client().request("POST", LOGIN).status for _ in range(FEW)}

        assert (pages(), posts) == ({200}, {403})
        assert other.asked == before


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_behind_a_cdn_the_client_is_the_one_that_the_cdn_names_and_nobody_else_can_name_one(
    site, tmp_path, kind
):
    """Withstands a hostile client."""
    recipes = {"authsite-cdn.conf": {"192.0.2.0/24": EDGE}}
    chosen = Nginx(tmp_path, site, snippets=recipes) if kind == "nginx" else None
    with chosen or Caddy(tmp_path, site, recipes) as proxy:
        for peer, named, seen in (
            (EDGE, CLIENT, CLIENT),
            (EDGE, f"198.51.100.1, {CLIENT}", CLIENT),
            ("127.0.0.8", CLIENT, "127.0.0.8"),
        ):
            assert recorded_ip(proxy, peer, named) == seen


def test_one_client_cannot_hold_all_connections(site, tmp_path):
    """Withstands a flood: behind nginx."""
    slow = f"POST {LOGIN} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\n"
    limit = {"authsite_clients 128": f"authsite_clients {FEW}"}
    with Nginx(tmp_path, site, limit) as nginx, ExitStack() as held:
        for _ in range(FEW):
            connection = held.enter_context(nginx.client(peer=EDGE).socket())
            connection.sendall(slow.encode())
        refused = nginx.client(peer=EDGE).get(LOGIN)

        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert nginx.client(peer="127.0.0.8").get(LOGIN).status == 200


def test_only_the_proxy_reaches_the_site_through_a_unix_socket(tmp_path_factory):
    """Withstands a hostile client: a program on the machine claims any IP address.

    On a port of 127.0.0.1, any program of the machine could claim any IP address.
    """
    folder, front = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("front")
    # The path of a socket has at most 107 bytes, so this test does not use ``tmp_path``.
    path = front / "socket"
    site = production(folder, ORIGIN, UNIX_SOCKET=str(path))
    site.make_database()
    with (
        site.launch() as process,
        Nginx(front, site, {f"127.0.0.1:{site.port}": f"unix:{path}"}) as nginx,
    ):

        def answers():
            return nginx.client().get(LOGIN).status == 200

        assert within(LATER_SECONDS, answers)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert not listening(site.port)
        assert recorded_ip(nginx, EDGE, CLIENT) == EDGE
        # Renewed workers use the same socket, and so does a site after a crash.
        os.kill(process.pid, signal.SIGHUP)
        time.sleep(START_SECONDS + RETIRED_SECONDS + 1)
        assert answers()
        process.kill()
        with site.launch():
            assert within(LATER_SECONDS, answers)
