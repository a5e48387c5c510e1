"""The site behind nginx and Caddy with the files of ``deploy/``, as clients see it."""

import io
import json
import re
import socket
import ssl
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.common.brand.files import SVG, File
from tests.support.authorize import AUTHORIZE, CHALLENGE
from tests.support.outages import children
from tests.support.proxies import EDGE, NAME, ORIGIN, TOKEN, Caddy, Nginx, recorded_ip
from tests.support.signin import set_up
from tests.support.site import production, together
from tests.support.sslyze import assert_intermediate
from tests.support.steps import CONFIRM, LOGIN, join, sign_in

EVIL = "evil.example"
LOGO = File(b"<svg/>", SVG)
MOST = 2_621_440
HSTS = "max-age=31536000; includeSubDomains; preload"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "web",
}
SOFTWARE = re.compile("nginx|caddy|granian|python|django", re.IGNORECASE)


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    with production(tmp_path_factory.mktemp("production"), ORIGIN) as site:
        yield site


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def proxy(request, tmp_path_factory, behind):
    with request.param(tmp_path_factory.mktemp("proxy"), behind) as running:
        yield running


def check(answer, *, tls=True):
    """Check that an answer has every header once and names neither software nor a foreign host."""
    expected = HEADERS | ({"Strict-Transport-Security": HSTS} if tls else {})
    assert {name: answer.headers.get_all(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert tls or "Strict-Transport-Security" not in answer.headers
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["Cache-Control"]
    assert "Via" not in answer.headers
    assert not SOFTWARE.search(str(answer.headers))
    assert EVIL not in str(answer.headers) + answer.text


def status(raw):
    return int(raw.split(" ", 2)[1])


def test_6_2_plain_http_redirects_to_https_with_path_and_query_and_no_cookie(proxy):
    for path in ("/", f"{LOGIN}?next=/%3Fa%3D1&b=%C3%A9", f"//{EVIL}/..", f"/@{EVIL}"):
        answer = proxy.plain().get(path)

        assert answer.status == 301
        assert answer.location == f"{ORIGIN}{path}"
        assert answer.cookies == {}
        if EVIL not in path:
            check(answer, tls=False)


def test_6_2_nginx_answers_acme_challenges_over_plain_http(behind, tmp_path):
    path = ".well-known/acme-challenge/t0ken"
    with Nginx(tmp_path, behind) as nginx:
        (nginx.acme / path).parent.mkdir(parents=True)
        (nginx.acme / path).write_text("t0ken.thumbprint")

        assert nginx.plain().get(f"/{path}").text == "t0ken.thumbprint"


def test_6_3_pages_files_and_errors_have_each_security_header_once(proxy):
    """Headers that the site and the proxy both know are neither doubled nor missing."""
    statuses = {LOGIN: 200, "/": 302, "/static/app.css": 200, "/no/": 404, "/static/no": 404}
    for path, expected in (statuses | {TOKEN: 405, "/.well-known/jwks.json": 200}).items():
        answer = proxy.client().get(path)
        assert answer.status == expected
        check(answer)


def test_6_1_signing_up_and_signing_in_work_behind_the_proxy(proxy, behind):
    name = f"alice-{proxy.name.lower()}"
    browser = proxy.client()
    join(behind, browser, name)

    assert sign_in(proxy.client(), name).location == "/"
    assert browser.get("/").status == 200
    assert all(cookie.startswith("__Host-") for cookie in browser.cookies)


def test_redirects_to_apps_have_the_longest_state(proxy, behind):
    uri = "https://paperless.example.org/callback"
    added = behind.manage("add_client", proxy.name, "--redirect-uri", uri, "--public", "--json")
    asked = {"client_id": json.loads(added)["client_id"], "redirect_uri": uri, "prompt": "none"}
    asked |= {"response_type": "code", "scope": "openid", "state": "é" * 4096}
    asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    browser = proxy.client()

    opened = browser.post(AUTHORIZE, asked, csrf=False)
    answer = browser.get(opened.location)

    assert (opened.status, answer.status) == (303, 303)
    assert "%C3%A9" * 4096 in answer.location


def test_the_client_ip_is_the_peer_despite_forged_headers(proxy):
    """Withstands a hostile client."""
    for header in ("X-Forwarded-For", "X_Forwarded_For", "x_forwarded-for"):
        assert recorded_ip(proxy, EDGE, "203.0.113.9", header) == EDGE, header


def test_forged_forwarded_proto_and_host_headers_are_ignored(proxy):
    headers = {"Forwarded": f"for=203.0.113.9;proto=http;host={EVIL}"}
    for mark in "-_":
        headers |= {f"X{mark}Forwarded{mark}Proto": "http", f"X{mark}Forwarded{mark}Host": EVIL}

    answer = proxy.client().get(LOGIN, headers=headers)

    assert answer.status == 200
    check(answer)
    assert proxy.plain().get(LOGIN, headers={"X-Forwarded-Proto": "https"}).status == 301


def test_the_proxy_names_each_request_whatever_the_client_sends(proxy):
    """Withstands a hostile client."""
    sent = {"X-Request-ID": "chosen-by-mallory", "X_Request_ID": "chosen-by-mallory"}
    named = [proxy.client().get(LOGIN, headers=sent).headers["X-Request-ID"] for _ in range(2)]

    assert "chosen-by-mallory" not in named
    assert len(set(named)) == 2


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_a_foreign_host_header_is_refused(proxy, tls):
    """An unusual form of the site's own name is refused, too, or redirected to the origin."""
    others = [
        *((LOGIN, [host]) for host in (EVIL, f"{NAME}.{EVIL}", f"{NAME}@{EVIL}", "")),
        *((LOGIN, hosts) for hosts in ([NAME, EVIL], [EVIL, NAME], [f"{NAME}, {EVIL}"], [])),
        *((f"https://{EVIL}{LOGIN}", [NAME]), (f"http://{EVIL}{LOGIN}", [EVIL])),
    ]
    odd = [
        *((LOGIN, [f"{NAME}{end}"]) for end in (":99999", ":80:80")),
        *((LOGIN, [f"{NAME.upper()}."]), (f"https://{NAME}{LOGIN}", [EVIL])),
        (f"http://{NAME}{LOGIN}", [f"{NAME}:1"]),
    ]
    for line, hosts in others + odd:
        named = "".join(f"Host: {host}\r\n" for host in hosts)
        answer = proxy.raw(f"GET {line} HTTP/1.1\r\n{named}Connection: close\r\n\r\n", tls=tls)

        served = {200 if tls else 301} if (line, hosts) in odd else set()
        assert status(answer) in {400, 421} | served, (line, hosts)
        assert EVIL not in answer
        assert ":99999" not in answer
        assert served or not SOFTWARE.search(answer)
        assert all(place.startswith(ORIGIN) for place in re.findall(r"Location: (\S+)", answer))


def test_request_smuggling_with_two_lengths_gets_at_most_one_answer(proxy):
    """Withstands a hostile client.

    The bytes between the two lengths would be a second request to the site.
    """
    smuggled = f"x=1\r\nGET /smuggled/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
    chunks = f"{len(smuggled):x}\r\n{smuggled}\r\n0\r\n\r\n"
    head = f"POST {LOGIN} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n"
    for lengths in (
        *("Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4, 5"),
        *("Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: +4"),
        *("Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity"),
    ):
        answer = proxy.raw(f"{head}{lengths}\r\n\r\n{chunks}")

        assert 400 <= status(answer) < 502, lengths
        assert answer.count("HTTP/1.1 ") == 1, lengths
        assert not SOFTWARE.search(answer)
    assert proxy.client().get(LOGIN).status == 200


def test_a_body_over_the_limit_is_413_and_the_largest_allowed_reaches_the_site(proxy):
    for path in ("/", TOKEN):
        headers = {"Content-Length": str(MOST + 1)}
        answer = proxy.client().request("POST", path, headers=headers)
        assert answer.status == 413
        check(answer)
    assert set(answer.json()) == {"detail", "code"}

    # The site itself answers 403: the form has no CSRF token.
    assert proxy.client().request("POST", LOGIN, body=b"x" * MOST).status == 403


def test_malformed_http_is_answered_400_without_naming_software(proxy):
    """Withstands a hostile client."""
    head = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n"
    for junk in (
        *("\x16\x03\x01\r\n\r\n", "GET\r\n\r\n"),
        *(f"{head}:x\r\n\r\n", f"{head}X: {'x' * 70_000}\r\n\r\n"),
    ):
        for tls in (True, False):
            answer = proxy.raw(junk, tls=tls)
            assert not answer or status(answer) in {400, 421, 431}
            assert not SOFTWARE.search(answer)
    # A plain HTTP request to the TLS port.
    with socket.create_connection(("127.0.0.1", proxy.https), timeout=5) as connection:
        connection.sendall(f"{head}\r\n".encode())
        assert not SOFTWARE.search(connection.recv(65536).decode("latin-1"))


def test_a_slow_or_stopped_site_gives_504_or_502_and_secret_links_are_not_logged(
    proxy, behind, tmp_path
):
    """Withstands a failure."""
    with behind.process.frozen():
        check_errors(proxy, 504)
    assert proxy.client().get(LOGIN).status == 200
    with type(proxy)(tmp_path, behind.second()) as alone:
        check_errors(alone, 502)


def test_while_no_node_answers_browsers_get_a_page_in_the_sites_look(
    proxy, behind, tmp_path, settings
):
    set_up(settings, site_name="Beans & Co", site_colour="#7a1fa2", site_logo=LOGO)
    call_command("maintenance_page", tmp_path / "pages", stdout=io.StringIO())
    with type(proxy)(tmp_path, behind.second()) as alone:
        check_errors(alone, 502, "text/html")
        posted = alone.client().request("POST", LOGIN, body=b"password=secret")
        parts = re.findall(r'(?:href|src)="(/[^"]+)"', posted.text)
        for path in parts:
            part = alone.client().get(path)
            assert part.status == 200
            check(part)

    assert posted.status == 502
    assert [path.rpartition(".")[2] for path in parts] == ["svg", "css", "css", "svg"]
    assert "style-src 'self'; img-src 'self'" in posted.headers["Content-Security-Policy"]
    for text in ("Beans &amp; Co", "We’ll be back in a moment", "Wir sind gleich wieder da"):
        assert text in posted.text


def check_errors(proxy, expected, kind="text/plain"):
    """Check the answers to a page and to an API call while the site is away.

    ``kind``: the media type of the page.
    """
    paths = (f"{CONFIRM}secret-of-a-link/", "/api/v1/me/?secret")
    headers = {"Referer": f"{ORIGIN}/secret"}
    page, call = together(2, lambda i: proxy.client().get(paths[i], headers=headers))

    for answer in (page, call):
        assert answer.status == expected
        assert int(answer.headers["Retry-After"]) > 0
        check(answer)
    assert page.headers.get_content_type() == kind
    assert set(call.json()) == {"detail", "code"}
    assert "secret" not in proxy.logs()


def connections(site):
    """Return how many sockets the site's workers have open."""
    links = [link for pid in children(site.process) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.is_socket() for link in links)


def test_slow_bodies_do_not_reach_the_site(proxy, behind):
    """Withstands a flood.

    The site gets no connection for any of the slow requests.
    """
    before = connections(behind)
    head = (
        f"POST {LOGIN} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1000\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nlogin=alice"
    )
    with ExitStack() as held:
        for _ in range(32):
            held.enter_context(proxy.client().socket()).sendall(head.encode())
        time.sleep(0.3)
        assert proxy.client().get(LOGIN).status == 200
        assert connections(behind) - before < 16


def test_a_client_that_names_an_unknown_host_gets_no_certificate(proxy):
    context = ssl.create_default_context(cafile=proxy.authority)
    context.check_hostname = False
    for name in (EVIL, None):
        plain = socket.create_connection(("127.0.0.1", proxy.https), timeout=5)
        with plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=name)


@pytest.mark.proof
@pytest.mark.alone
def test_6_4_sslyze_finds_each_proxy_compliant_with_mozillas_intermediate(proxy):
    assert_intermediate(NAME, proxy.authority, proxy.https)
