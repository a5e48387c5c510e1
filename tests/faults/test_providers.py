"""A provider that is away, slow, broken or angry: a plain page, soon, and nobody is made."""

import ipaddress
import json
import resource
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client

from accounts.social import metadata, outside
from accounts.users.models import User
from tests.conftest import Clock
from tests.faults.test_mail import within
from tests.support.client import together
from tests.support.openid_provider import OpenIDProvider, send
from tests.support.process import free_port
from tests.support.social import come_back, configured, go, through

LOGIN = "/accounts/oidc/acme/login/"
# What people are promised, and what a busy machine may add.
SOON = 5 + 1.0
PATHS = ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
BODIES = [
    *(
        "",
        " ",
        "<html>",
        "[]",
        "null",
        "5",
        "true",
        '"a"',
        "{",
        "\0",
        "[" * 200_000,
        '{"a":' * 40_000,
    ),
    *(
        '{"keys": null}',
        '{"keys": [1]}',
        '{"keys": "abc"}',
        '{"keys": [{"kty": "EC"}]}',
        '{"keys": []}',
    ),
    *('{"access_token": 5, "id_token": "a"}', '{"access_token": "a"}', "access_token=a&id_token=b"),
]

type Trouble = Callable[[Any], None]


def visited(op: OpenIDProvider) -> Any:
    """What a browser gets on the way there, or on its return."""
    metadata._known.clear()
    browser = Client()
    answer = browser.post(LOGIN)
    return come_back(browser, op.answer(answer.url)) if answer.status_code == 302 else answer


def fails_soon(op: OpenIDProvider, seconds: float = SOON) -> None:
    started = time.monotonic()
    answer = visited(op)
    assert time.monotonic() - started < seconds
    assert answer.status_code == 400
    assert b"That didn" in answer.content
    assert not User.objects.exists()


def status(code: int) -> Trouble:
    return lambda request: send(request, b"" if code == 204 else b"{}", status=code)


def bomb(request: Any) -> None:
    """200 MB that come as 200 KB."""
    packer = zlib.compressobj(9, wbits=31)
    body = b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()
    request.send_response(200)
    request.send_header("Content-Encoding", "gzip")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def reset(request: Any) -> None:
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def raw(answer: bytes) -> Trouble:
    """Exactly that, and the connection is closed."""
    return lambda request: request.wfile.write(answer) and None


OK = b"HTTP/1.0 200 OK\r\n"
TROUBLES: list[Trouble] = [
    *map(status, (204, 400, 401, 404, 429, 500, 503)),
    *(reset, raw(b""), raw(b"SSH-2.0\r\n"), raw(OK + b"Content-Length: 99\r\n\r\n{}")),
    raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    raw(OK + b"Content-Encoding: gzip\r\n\r\n{}"),
    raw(OK + b"A: b\r\n" * 500 + b"\r\n{}"),
    lambda request: send(request, json.dumps({"a": "b" * 2_000_000}).encode()),
]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_garbage_of_a_provider_is_its_failure_and_none_of_ours(
    op: OpenIDProvider, path: str
) -> None:
    for i, body in enumerate(BODIES):
        kind = ("application/json", "text/html", "")[i % 3]
        op.instead[path] = lambda request, body=body, kind=kind: send(
            request, body.encode(), kind=kind
        )
        fails_soon(op)

    assert op.count(path) == len(BODIES)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_a_broken_provider_is_its_failure_and_none_of_ours(op: OpenIDProvider, path: str) -> None:
    for trouble in TROUBLES:
        op.instead[path] = trouble
        fails_soon(op)

    del op.instead[path]
    assert visited(op).url == "/"


@pytest.mark.django_db
def test_a_bomb_is_not_unpacked(op: OpenIDProvider) -> None:
    op.instead[PATHS[0]] = bomb
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    fails_soon(op)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.django_db
def test_a_provider_that_refuses_connections_is_told_of_at_once(
    op: OpenIDProvider, settings: Any
) -> None:
    configured(settings, op.setting(issuer=f"http://127.0.0.1:{free_port()}"))

    fails_soon(op, 1)


ERRORS = [
    *("access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type"),
    *("invalid_scope", "server_error", "temporarily_unavailable", "interaction_required"),
    *("login_required", "account_selection_required", "consent_required", "invalid_request_uri"),
    *("invalid_request_object", "request_not_supported", "request_uri_not_supported"),
    *("registration_not_supported", "<script>", ""),
]


@pytest.mark.django_db
def test_an_error_comes_back_as_a_plain_page_in_our_words_only(op: OpenIDProvider) -> None:
    """OpenID Connect Core section 3.1.2.6; whoever makes the link writes its description."""
    for error in ERRORS:
        browser = Client()
        answer = op.answer(go(browser)) | {"error": error, "error_description": "<script>evil()"}
        page = come_back(browser, answer | {"error_uri": "javascript:evil()"})
        if error == "access_denied":
            assert page.url == "/accounts/login/"
            page = browser.get(page.url)
            assert b"Nothing has changed here" in page.content
        else:
            assert page.status_code == 400, error
        assert b"evil" not in page.content
        assert b"_" not in error.encode() or error.encode() not in page.content

    assert op.count("/token") == 0
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_8_5_four_wait_for_a_provider_that_hangs_and_nobody_else_does(op: OpenIDProvider) -> None:
    op.instead[PATHS[0]] = lambda _request: time.sleep(SOON)

    def visit(i: int) -> tuple[int, float]:
        page = Client()
        within(2, lambda: i < outside.MOST_WITH_ONE or op.count(PATHS[0]) == outside.MOST_WITH_ONE)
        started = time.monotonic()
        answer = page.get("/accounts/login/") if i > outside.MOST_WITH_ONE else page.post(LOGIN)
        return answer.status_code, time.monotonic() - started

    answers = together(outside.MOST_WITH_ONE + 2, visit)

    assert [code for code, _seconds in answers] == [400] * outside.MOST_WITH_ONE + [429, 200]
    assert max(seconds for _code, seconds in answers) < SOON
    assert max(seconds for _code, seconds in answers[-2:]) < outside.WAIT + 1
    assert op.count(PATHS[0]) == outside.MOST_WITH_ONE


@pytest.mark.django_db
def test_a_few_more_than_four_at_once_are_all_served(op: OpenIDProvider) -> None:
    """A healthy provider takes its time, too; and a state is good once."""

    def find_out() -> float:
        time.sleep(0.2)
        return time.monotonic()

    answers = together(outside.MOST_WITH_ONE + 2, lambda _i: outside.talk("acme", find_out) > 0)

    assert answers == [True] * (outside.MOST_WITH_ONE + 2)


@pytest.mark.django_db
def test_keys_that_are_known_do_while_new_ones_cannot_be_had(
    op: OpenIDProvider, clock: Clock
) -> None:
    assert through(Client(), op).url == "/"
    clock.advance(hours=2)
    op.instead["/jwks"] = lambda _request: time.sleep(SOON)
    assert through(Client(), op).url == "/"
    outside._silent_until.clear()
    asked = op.count("/jwks")

    started = time.monotonic()
    assert through(Client(), op).url == "/"

    assert time.monotonic() - started < 2
    assert op.count("/jwks") == asked
    clock.advance(days=1)
    assert through(Client(), op).status_code == 400


def drip(answer: bytes) -> Trouble:
    """A byte in a fifth of a second, for as long as anybody listens."""

    def trouble(request: Any) -> None:
        try:
            request.wfile.write(answer)
            for _ in range(100):
                time.sleep(0.2)
                request.wfile.write(b"a")
        except OSError:
            request.close_connection = True

    return trouble


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([])
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    made = builder.add_extension(local, critical=True).sign(key, SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "pem").write_bytes(pem + made.public_bytes(Encoding.PEM))
    return tmp_path / "pem"


def test_a_drip_over_tls_is_cut_and_its_place_is_free_again(
    op: OpenIDProvider, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    op._server.socket = context.wrap_socket(op._server.socket, server_side=True)
    op.instead["/"] = drip(OK + b"\r\n")

    def ask() -> Any:
        with outside.taking_private():
            url = op.origin.replace("http:", "https:")
            return outside.session().get(url, verify=str(certificate))

    started = time.monotonic()
    with pytest.raises(outside.Unreachable):
        outside.talk("acme", ask)

    assert time.monotonic() - started < SOON
    assert op.count("/") == 1
    assert within(1, lambda: outside._slots._value == outside.MOST_AT_ONCE)


@pytest.mark.proof
@pytest.mark.django_db
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\nA: ", OK + b"\r\n"])
@pytest.mark.parametrize("path", PATHS)
def test_a_drip_is_over_in_five_seconds(op: OpenIDProvider, path: str, answer: bytes) -> None:
    op.instead[path] = drip(answer)

    fails_soon(op)

    del op.instead[path]
    # It isn't asked for a while, and then it is.
    assert within(outside.PAUSE + 2, lambda: visited(op).status_code == 302)
