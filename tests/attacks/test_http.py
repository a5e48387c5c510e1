"""Malformed and hostile HTTP requests to a real server, and the headers of every answer."""

import re
import socket
from io import BytesIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from accounts.common.logs import REQUEST_ID
from tests.support.raw_http import END, EVIL, HEADERS, missing_headers, raw
from tests.support.signin import set_up
from tests.support.site import text_of
from tests.support.standards import proves
from tests.support.steps import CONFIRM, LOGIN, sign_up


def test_poisoned_host_headers_do_not_reach_the_links_in_mails(site):
    """Withstands a hostile client."""
    host = f"127.0.0.1:{site.port}"
    browser = site.client(Host=host, X_Forwarded_Host=EVIL, Forwarded=f"host={EVIL}")
    browser.origin = f"http://{host}"

    assert sign_up(browser, "poisoned").status == 302

    text = text_of(site.wait_for_mail(to="poisoned"))
    assert set(re.findall(r"https?://[^/\s]+", text)) == {site.origin}
    # An absolute URL in the request line overrides Host (RFC 9112 section 3.2.2).
    assert "HTTP/1.1 400" in raw(site, f"GET http://{EVIL}{LOGIN} HTTP/1.1\r\nHost: {EVIL}\r\n\r\n")


@proves("V4.1.2", "V12.2.1")
def test_4_2_plain_http_redirects_whatever_headers_an_untrusted_client_sends(settings):
    """Withstands a hostile client."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_SSL_HOST = "authsite.example"
    set_up(settings, trusted_proxies=(ip_network("192.0.2.1"),))
    says_https, path = {"X-Forwarded-Proto": "https"}, f"{LOGIN}?next=/%3Fa%3D1&b=%C3%A9"
    for headers in (says_https, {"Forwarded": "proto=https"}, {}):
        answer = Browser().get(path, headers=headers)
        assert (answer.status_code, answer["Location"]) == (301, f"https://authsite.example{path}")
        assert not answer.cookies
        assert "Strict-Transport-Security" not in answer
    trusted = Browser(REMOTE_ADDR="192.0.2.1")
    assert trusted.get(LOGIN, headers=says_https | {"Host": "testserver"}).status_code == 200


@proves("V4.1.4", "V13.4.4")
def test_unsupported_methods_are_405(site):
    """Withstands a hostile client."""
    for method in ("TRACE", "TRACK", "CONNECT", "PROPFIND", "FOO"):
        answer = raw(site, f"{method} / HTTP/1.1\r\nHost: {{host}}\r\n{END}X-Secret: echo\r\n\r\n")
        assert answer.startswith(("HTTP/1.1 405", "HTTP/1.1 400")), method
        assert "echo" not in answer
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert site.client().request(method, LOGIN).status in {403, 405}, method


@proves("V1.5.3", "V4.2.1", "V4.2.2")
@pytest.mark.parametrize(
    "framing",
    ["Content-Length: 4\r\nContent-Length: 9", "Content-Length: 4, 9", "Content-Length: +4",
     "Content-Length: -1", "Content-Length: 4\r\nTransfer-Encoding: chunked",
     "Transfer-Encoding: chunked\r\nContent-Length: 4", "Transfer-Encoding: xchunked",
     "Transfer-Encoding: identity, chunked, x", "Transfer-Encoding : chunked"],
)  # fmt: skip
def test_request_smuggling_conflicting_lengths_give_at_most_one_answer(site, framing):
    smuggled = "GET /static/favicon.svg HTTP/1.1\r\nHost: {host}\r\n\r\n"

    head = f"POST {LOGIN} HTTP/1.1\r\nHost: {{host}}\r\n{framing}\r\n\r\n"
    answer = raw(site, f"{head}0\r\n\r\n{smuggled}")

    assert answer.count("HTTP/1.1 ") <= 1
    assert "content-type: image/svg" not in answer


def test_a_body_without_a_length_is_refused_and_not_ignored(site):
    """Withstands a hostile client.

    If the body were ignored, a request for a token with little scope would get a full one.
    """
    answer = raw(
        site,
        f"POST /api/v1/token/ HTTP/1.1\r\nHost: {{host}}\r\n{END}Transfer-Encoding: chunked\r\n"
        'Content-Type: application/json\r\n\r\n10\r\n{{"scope":"read"}}\r\n0\r\n\r\n',
    )

    assert answer.startswith("HTTP/1.1 400")
    assert '"code": "bad_request"' in answer


def test_a_body_without_a_length_is_refused_over_http_2_too():
    def status(body):
        environ: dict[str, Any] = {"SERVER_PROTOCOL": "HTTP/2", "wsgi.input": BytesIO(body)}
        return Browser().get("/api/v1/schema/", **environ).status_code

    assert [status(body) for body in (b"{}", b"")] == [400, 200]


@pytest.mark.parametrize("path", ["/nowhere/", "/static/app.css", "/api/v1/me/"])
def test_the_server_reads_a_body_that_no_view_reads_before_it_answers(site, path):
    """Withstands an accident.

    Closing a connection with unread data resets it, and a proxy answers that with 502.
    """
    head = f"POST {path} HTTP/1.1\r\nHost: localhost:{site.port}\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=0.3) as connection:
        connection.sendall(head.encode())
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(b"x" * 9)
        connection.settimeout(5)
        assert connection.recv(65536).startswith(b"HTTP/1.1 40")


def test_a_malformed_content_type_causes_no_server_error_and_no_missing_header(site):
    """Withstands a hostile client."""
    for content_type in (
        *(f"text/plain; charset={charset}" for charset in ("hex", "undefined", "idna", "utf-8")),
        *("text/plain; a*=no-such''x", "text/plain; a*=undefined''x", "x;" + " a=b;" * 3000),
    ):
        for path in (f"{LOGIN}?next=%ff", f"{LOGIN}?{'a=1&' * 300}", "/nowhere?a=%ff"):
            answer = site.client().get(path, headers={"Content-Type": content_type})
            assert answer.status < 500, (path, content_type)
            assert missing_headers(answer.headers) == [], (path, content_type)


@proves(
    "V3.2.1", "V3.4.4", "V3.4.5", "V3.4.6", "V3.4.8", "V3.5.8", "V4.1.1", "V13.4.6", "RFC9700-4.2"
)
def test_every_answer_has_the_security_headers(site):
    """Withstands a hostile website."""
    for path, status in {
        **{"/": 302, LOGIN: 200, "/nowhere/": 404, "/static/app.css": 200, "/static/no": 404},
        **{"/static/../manage.py": 404, "/admin/": 302, "/accounts/signup": 301},
        **{f"{LOGIN}?{'a=1&' * 300}": 400, "/dev/mail/": 200, f"{CONFIRM}no-such/": 404},
    }.items():
        answer = site.client().get(path)
        assert answer.status == status, path
        assert missing_headers(answer.headers) == [], path
        assert "granian" not in str(answer.headers).lower()


@proves("V16.3.4", "V16.5.1", "V16.5.4")
def test_a_500_has_the_security_headers_its_request_id_and_no_details(monkeypatch):
    """Withstands a hostile client."""
    from accounts.ops import public_views

    seen: list[str] = []

    def wrong(*_args):
        seen.append(REQUEST_ID.get())
        raise ZeroDivisionError

    monkeypatch.setattr(public_views, "render", wrong)

    answer = Browser(raise_request_exception=False).get("/help/")

    assert answer.status_code == 500
    assert missing_headers({name: answer.get(name) for name in HEADERS}) == []
    assert "ZeroDivision" not in answer.content.decode()
    assert seen == [answer["X-Request-ID"]]
    assert REQUEST_ID.get() == ""


@proves("V13.4.2")
def test_dev_mail_is_shown_only_to_this_machine_without_a_proxy_in_development(settings):
    """Withstands a spy."""
    assert Browser().get("/dev/mail/").status_code == 200
    assert Browser(REMOTE_ADDR="192.0.2.1").get("/dev/mail/").status_code == 404
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"):
        assert Browser().get("/dev/mail/", headers={name: "127.0.0.1"}).status_code == 404
    for name in ("..%2f..%2fsecret_key", "%2e%2e", "..", "a.eml"):
        assert Browser().get(f"/dev/mail/{name}/").status_code == 404
    set_up(settings, environment="production")
    assert Browser().get("/dev/mail/").status_code == 404


def test_a_body_larger_than_any_form_is_refused_with_413():
    """Withstands a flood."""
    answer = Browser().post(LOGIN, {"file": SimpleUploadedFile("x", b"x" * 3_000_000)})

    assert answer.status_code == 413
    for digits in ("9" * 5000, "1" * 19, "-1", "1e3"):
        environ = {"CONTENT_LENGTH": digits}
        assert Browser().get("/accounts/login/", **environ).status_code == 413, digits


@proves("V13.3.2", "V16.4.2")
def test_files_that_the_site_writes_are_unreadable_to_other_users_of_the_machine(site):
    """Withstands a thief with the database."""
    sign_up(site.client(), "closed")
    site.wait_for_mail(to="closed@")
    written = [path for path in site.data_dir.rglob("*") if path.suffix != ".log"]

    assert {"db.sqlite3", "secret_key", "encryption_key", "mail"} <= {path.name for path in written}
    assert [path for path in written if path.stat().st_mode & 0o007] == []
