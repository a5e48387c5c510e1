"""An app of ten lines behind nginx and Caddy, as ``docs/forward-auth.md`` protects it."""

import os
import re
import shlex
from contextlib import ExitStack
from html import unescape
from urllib.parse import urlsplit

import pytest

from accounts.oauth.forward import HEADERS
from tests.support.docs_examples import blocks_of
from tests.support.forward import CALLBACK, CHECK, OF_CLIENTS, WIKI
from tests.support.https import TlsClient
from tests.support.process import run, within
from tests.support.proxies import NAME, ORIGIN, Caddy, Nginx, certify
from tests.support.receiver import Server, say
from tests.support.site import ROOT, production
from tests.support.steps import LOGIN, join, sign_in

EVIL = "mallory.example"
OWN = "__Host-forward"


FEW = 3


def install(text, folder, name=NAME):
    """Run the commands of the page that install a file of ``deploy/``, with ``folder`` as /etc."""
    lines = re.sub("/etc/(nginx|caddy)", str(folder), block("sh", text))
    run("bash", "-euc", lines, cwd=ROOT, env=os.environ | {"NAME": name})


def block(language, text):
    """Return the block of the page with ``text``."""
    return next(b.lines for b in blocks_of("forward-auth.md", language) if text in b.lines)


class App(Server):
    """An app that knows no sign-in, and keeps what it was sent."""

    def __init__(self):
        super().__init__()
        self.got = []

    def receive(self, request, body):
        self.got.append((request.command, request.path, request.headers, body))
        say(200, b"the wiki", **{"Set-Cookie": "theme=dark"})(request)


class WithApp:
    """A proxy of the site that protects ``app``, too."""

    seconds = 10

    def __init__(self, folder, site, app):
        super().__init__(folder, site)
        self.app = app

    def changed(self, text):
        return text.replace("127.0.0.1:9000", f"127.0.0.1:{self.app.port}")

    def wiki(self):
        """Return a browser that has only the cookies of the wiki."""
        return TlsClient(f"https://{WIKI}", self.https, self.authority_of_wiki())


class AppNginx(WithApp, Nginx):
    most = 128

    def command(self):
        words = super().command()
        self.authority_of_wiki()
        snippet = self.folder / "snippets/authsite-forward.conf"
        install("authsite-forward.conf", self.folder)
        waiting = ("proxy_read_timeout 30s", f"proxy_read_timeout {self.seconds}s")
        limit = ("authsite_clients 128", f"authsite_clients {self.most}")
        snippet.write_text(snippet.read_text().replace(*waiting).replace(*limit))
        server = self.changed(block("nginx", WIKI)).replace("/etc/authsite/tls", str(self.folder))
        server = server.replace("[::]:443", f"127.0.0.2:{self.https}")
        server = server.replace("listen 443", f"listen 127.0.0.1:{self.https}")
        (self.folder / "wiki.conf").write_text(server)
        main = self.folder / "nginx.conf"
        both = "include authsite.conf; include wiki.conf;"
        main.write_text(main.read_text().replace("include authsite.conf;", both))
        return words

    def authority_of_wiki(self):
        return certify(self.folder / "wiki", WIKI)


class AppCaddy(WithApp, Caddy):
    def command(self):
        words = super().command()
        install("forward-auth.conf", self.folder)
        snippet = self.folder / "forward-auth.conf"
        port = f"127.0.0.1:{self.site.port}"
        snippet.write_text(snippet.read_text().replace("127.0.0.1:8000", port))
        with (self.folder / "Caddyfile").open("a") as file:
            file.write(self.changed(block("caddy", WIKI)))
        return words

    def authority_of_wiki(self):
        return self.authority


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with production(tmp_path_factory.mktemp("production"), ORIGIN) as site:
        _python, _manage, *words = shlex.split(block("sh", "add_client"))
        site.manage(*words)
        yield site


@pytest.fixture(scope="module", params=[AppNginx, AppCaddy], ids=["nginx", "caddy"])
def proxy(request, tmp_path_factory, site):
    folder = tmp_path_factory.mktemp("proxy")
    with App() as app, request.param(folder, site, app) as running:
        running.person = f"alice-{running.name.lower()}"
        join(site, running.client(), running.person)
        yield running


@pytest.fixture(autouse=True)
def _nothing_got(request):
    if "proxy" in request.fixturenames:
        request.getfixturevalue("proxy").app.got.clear()


def follow(answer, *browsers):
    """Follow redirects as the browser of a person does, and return the answer without one."""
    by_origin = {browser.origin: browser for browser in browsers}
    while target := leads_to(answer):
        parts = urlsplit(target)
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else answer_origin(answer)
        answer = by_origin[origin].get(parts._replace(scheme="", netloc="").geturl())
    return answer


def leads_to(answer):
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    return answer.location or (unescape(found[1]) if found else "")


def answer_origin(answer):
    return "://".join(urlsplit(answer.url)[:2])


def signed_in(proxy):
    """Return a browser at the site and one at the wiki, in which alice has opened a page."""
    browser, wiki = proxy.client(), proxy.wiki()
    sign_in(browser, proxy.person)
    assert follow(wiki.get("/"), browser, wiki).text == "the wiki"
    proxy.app.got.clear()
    return browser, wiki


def test_17_3_a_stranger_signs_in_and_lands_on_the_page_of_an_app_that_learns_who_it_is(proxy):
    browser, wiki = proxy.client(), proxy.wiki()
    first = wiki.get("/pages?id=1&x=%C3%A9")
    form = follow(first, browser, wiki)
    assert (first.status, urlsplit(form.url).path, proxy.app.got) == (302, LOGIN, [])

    next_url = urlsplit(form.url).query.removeprefix("next=")
    landed = follow(sign_in(browser, proxy.person, next=next_url), browser, wiki)

    assert (landed.url, landed.text) == (f"https://{WIKI}/pages?id=1&x=%C3%A9", "the wiki")
    wiki.get("/again")
    ((method, path, _headers, _body), (_method, _path, headers, _none)) = proxy.app.got
    assert (method, path) == ("GET", "/pages?id=1&x=%C3%A9")
    assert headers["Remote-User"] == proxy.person
    assert headers["Remote-Email"] == f"{proxy.person}@example.org"
    assert len(headers["Remote-Id"]) == 36
    assert headers["Remote-Token"].count(".") == 2
    assert not headers["Remote-Groups"]
    assert wiki.cookies[OWN]["secure"]
    assert OWN not in str(browser.cookies) + str(headers)
    assert headers["Cookie"] == "theme=dark"


FORGED = {
    **dict.fromkeys(("Remote-Id", "REMOTE-USER", "remote-email", "Remote-Token"), "mallory"),
    **dict.fromkeys(("Remote-Groups", "Remote-Name", "Remote_Groups", "remote_id"), "admins"),
    **dict.fromkeys(("Remote.Groups", "Remote!Id", "Remote~Email"), "admins"),
    **{
        "X-Forwarded-Host": EVIL,
        "X_Forwarded_Host": EVIL,
        "X-Forwarded-Uri": "/x",
        "X-Forwarded-Method": "HEAD",
    },
    **{"X-Forwarded-For": "203.0.113.9"},
}


def test_headers_of_clients_reach_neither_the_app_nor_the_decision(proxy):
    """Withstands an attacker of apps."""
    _browser, wiki = signed_in(proxy)

    assert wiki.get("/", headers=FORGED).status == 200
    ((_method, _path, headers, _body),) = proxy.app.got
    assert "mallory" not in str(headers)
    assert "admins" not in str(headers)
    assert EVIL not in str(headers)
    assert headers.get_all("Remote-User") == [proxy.person]
    assert headers["X-Forwarded-Host"] == WIKI

    dropped = wiki.get("/", headers={"Connection": "close, Remote-User"})
    assert dropped.status == 400 or proxy.app.got[1][2]["Remote-User"] == proxy.person

    denied = proxy.wiki().get("/", headers=FORGED)
    assert (denied.status, EVIL in denied.location) == (302, False)


def test_a_form_reaches_the_app_whole_and_only_while_the_person_is_signed_in(proxy):
    _browser, wiki = signed_in(proxy)
    body = b"text=" + b"x" * 100_000
    assert wiki.request("POST", "/save", body=body).status == 200
    assert proxy.app.got[0][0::3] == ("POST", body.decode())

    late = proxy.wiki().request("POST", "/save", body=body)
    picture = proxy.wiki().get("/a.png", headers={"Sec-Fetch-Mode": "no-cors"})

    assert [(late.status, late.location), (picture.status, picture.location)] == [(401, "")] * 2
    assert len(proxy.app.got) == 1


PATHS = (
    *("/", "//", f"{CHECK}", "/authsite-forward", f"{CALLBACK}/", f"{CALLBACK}/../../../x"),
    *(f"{CALLBACK}%2f..%2f..%2fx", f"/x/..{CALLBACK}", f"/{CALLBACK}", f"{CALLBACK};/x"),
    *(f"{CALLBACK.upper()}", f"{CALLBACK}%00", f"{CALLBACK}?/../../x", "/./x", "/%2e%2e/x"),
    *(f"https://{WIKI}/x", f"https://{EVIL}/x", "x", "*"),
)
HOSTS = ([WIKI], [f"{WIKI}:443"], [WIKI.upper()], [f"{WIKI}."], [f"a@{WIKI}"], [WIKI, EVIL], [NAME])


def test_no_path_host_or_method_reaches_the_app_without_a_sign_in(proxy):
    """Withstands an attacker of apps."""
    odd = [("GET", path, [WIKI]) for path in PATHS] + [("GET", "/x", hosts) for hosts in HOSTS]
    odd += [(method, "/x", [WIKI]) for method in ("HEAD", "OPTIONS", "PROPFIND", "get", "CONNECT")]
    for method, path, hosts in odd:
        named = "".join(f"Host: {host}\r\n" for host in hosts)
        with proxy.wiki().socket() as connection:
            connection.settimeout(3)
            head = f"{method} {path} HTTP/1.1\r\n{named}Connection: close\r\n\r\n"
            connection.sendall(head.encode())
            raw = connection.recv(65536).decode("latin-1")
        assert EVIL not in "".join(re.findall(r"(?i)location: (\S+)", raw)), (method, path, hosts)
        assert not raw.startswith("HTTP/1.1 200"), (method, path, hosts)
    assert proxy.app.got == []


def test_one_client_cannot_hold_all_connections_to_an_app(site, tmp_path):
    with App() as app, ExitStack() as held:
        nginx = AppNginx(tmp_path, site, app)
        nginx.most = FEW
        held.enter_context(nginx)
        with site.process.frozen():
            for _ in range(FEW):
                connection = held.enter_context(nginx.wiki().socket())
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {WIKI}\r\n\r\n".encode())
            assert within(1, lambda: nginx.wiki().get("/").status == 503)


def test_the_page_installs_the_include_of_nginx_with_the_name_of_the_site(tmp_path):
    (tmp_path / "snippets").mkdir()
    install("authsite-forward.conf", tmp_path, "id.example.com")
    text = (tmp_path / "snippets/authsite-forward.conf").read_text()

    assert NAME not in text
    assert text.count("proxy_set_header Host id.example.com;") == 2


def test_the_page_lists_for_traefik_every_header_that_the_site_reads_and_answers():
    listed = re.findall(r"auth\w+Headers: \[(.*)\]", block("yaml", "forwardAuth"))

    assert [names.split(", ") for names in listed] == [OF_CLIENTS, list(HEADERS)]


def test_a_sign_out_ends_access_within_a_second(proxy):
    browser, wiki = signed_in(proxy)
    browser.post("/accounts/logout/")

    assert within(1, lambda: wiki.get("/").status == 302)
    proxy.app.got.clear()
    assert wiki.get("/").status == 302
    assert proxy.app.got == []


def test_while_the_site_is_away_the_app_gets_nothing(proxy, site):
    """Withstands a failure."""
    _browser, wiki = signed_in(proxy)
    with site.process.frozen():
        found = wiki.get("/")

    assert found.status >= 500
    assert proxy.app.got == []


def test_the_site_neither_answers_for_other_proxies_nor_pins_the_host_of_the_app(proxy):
    direct = proxy.client().get(CHECK, headers={"X-Forwarded-Host": WIKI})
    on_its_host = proxy.wiki().get(f"{CALLBACK}?error=access_denied")

    assert direct.status == 403
    assert on_its_host.status == 400
    assert "Strict-Transport-Security" not in on_its_host.headers
