"""A provider that is unreachable, slow or broken gives a plain page soon, and no account."""

import gzip
import json
import resource
import socket
import ssl
import struct
import time
from threading import Event

import pytest
from django.test import Client

from accounts.common import http_client
from accounts.common.errors import Busy
from accounts.common.http_client import MOST_WITH_ONE
from accounts.social import metadata
from accounts.users.models import User
from authsite.serving.https import certify
from tests.support.process import free_port, slack, within
from tests.support.receiver import say
from tests.support.site import together
from tests.support.social import come_back, configured, go, round_trip
from tests.support.standards import proves

LOGIN = "/accounts/oidc/acme/login/"
# Five seconds are the limit, and a busy machine may add one.
SOON = 5 + 1.0
PATHS = ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
OK = b"HTTP/1.0 200 OK\r\n"


def visit_provider(op):
    """Return the answer to the callback, or to the button if the site redirects nowhere."""
    metadata._known.clear()
    browser = Client()
    answer = browser.post(LOGIN)
    return come_back(browser, op.answer(answer.url)) if answer.status_code == 302 else answer


def assert_fails_soon(op, seconds=SOON):
    started = time.monotonic()
    answer = visit_provider(op)
    assert time.monotonic() - started < seconds * slack()
    assert answer.status_code == 400
    assert b"That didn" in answer.content
    assert not User.objects.exists()


def reset(request):
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def answer(body, status=200, kind="application/json"):
    return say(status, body.encode(), **{"Content-Type": kind})


def raw(answer):
    """Return a handler that sends these bytes and closes the connection."""
    return lambda request: request.wfile.write(answer) and None


TROUBLES = [
    *(answer("{}", status=code) for code in (204, 400, 429, 500)),
    *(reset, raw(b""), raw(b"SSH-2.0\r\n"), raw(OK + b"Content-Length: 99\r\n\r\n{}")),
    raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    *(raw(OK + b"Content-Encoding: gzip\r\n\r\n{}"), raw(OK + b"A: b\r\n" * 500 + b"\r\n{}")),
    answer(json.dumps({"a": "b" * 2_000_000})),
    *(answer("<html>", kind="text/html"), answer("{}", kind=""), answer("")),
    *map(answer, ("[]", "null", "5", '"a"', "{", "\0", "[" * 200_000, '{"a":' * 40_000)),
    *(answer(f'{{"keys": {keys}}}') for keys in ("null", "[1]", '"abc"', '[{"kty": "EC"}]', "[]")),
    *(answer('{"access_token": 5, "id_token": "a"}'), answer('{"access_token": "a"}')),
    answer("access_token=a&id_token=b"),
]


@proves("V16.5.2")
@pytest.mark.parametrize("path", PATHS)
def test_a_broken_provider_gives_a_plain_error_page_and_no_account(op, path):
    for trouble in TROUBLES:
        op.instead[path] = trouble
        assert_fails_soon(op)

    assert op.count(path) == len(TROUBLES)
    del op.instead[path]
    assert visit_provider(op).url == "/"


def test_a_compression_bomb_is_not_unpacked(op):
    """The answer unpacks from 200 KB to 200 MB."""
    bomb = OK + b"Content-Encoding: gzip\r\n\r\n" + 200 * gzip.compress(bytes(1_000_000))
    op.instead[PATHS[0]] = raw(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert_fails_soon(op)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_a_provider_that_refuses_connections_fails_at_once(op, settings):
    configured(settings, op.setting(issuer=f"http://127.0.0.1:{free_port()}"))

    assert_fails_soon(op, http_client.SECONDS - 1)


def test_a_provider_error_is_shown_without_the_providers_own_words(op):
    """An attacker who makes the link chooses its description (OpenID Connect Core 3.1.2.6)."""
    for error in ("server_error", "login_required", "<script>", ""):
        browser = Client()
        answer = op.answer(go(browser)) | {"error": error, "error_description": "<script>evil()"}
        page = come_back(browser, answer | {"error_uri": "javascript:evil()"})
        assert page.status_code == 400, error
        assert b"evil" not in page.content
        assert b"_error" not in page.content

    assert op.count("/token") == 0
    assert not User.objects.exists()


@proves("V13.2.6")
@pytest.mark.django_db(transaction=True)
def test_8_5_at_most_four_requests_wait_for_a_hanging_provider(op):
    """Withstands a failure."""
    op.instead[PATHS[0]] = lambda _request: time.sleep(SOON)

    def visit(i):
        page = Client()
        within(
            http_client.SECONDS - 1,
            lambda: i < MOST_WITH_ONE or op.count(PATHS[0]) == MOST_WITH_ONE,
        )
        started = time.monotonic()
        answer = page.get("/accounts/login/") if i > MOST_WITH_ONE else page.post(LOGIN)
        return answer.status_code, time.monotonic() - started

    answers = together(MOST_WITH_ONE + 2, visit)

    assert [code for code, _seconds in answers] == [400] * MOST_WITH_ONE + [429, 200]
    assert max(seconds for _code, seconds in answers) < SOON * slack()
    assert max(seconds for _code, seconds in answers[-2:]) < (http_client.WAIT + 1) * slack()
    assert op.count(PATHS[0]) == MOST_WITH_ONE


def test_a_few_more_than_four_concurrent_sign_ins_are_all_served(op):
    """A healthy provider takes some time, too, and people could not simply retry the callback.

    The state of an authorization request works only once.
    """

    def fetch_profile():
        time.sleep(0.2)
        return time.monotonic()

    answers = together(MOST_WITH_ONE + 2, lambda _i: http_client.talk("acme", fetch_profile) > 0)

    assert answers == [True] * (MOST_WITH_ONE + 2)


def test_servers_of_apps_that_hang_leave_room_for_providers():
    """Withstands a flood: apps of strangers whose servers never answer."""
    let_go = Event()

    def ask(i):
        with pytest.raises((http_client.Unreachable, Busy)):
            http_client.talk(f"app {i}", let_go.wait, group=http_client.OF_APPS, seconds=0.2)

    former = {f"former {n}": 0.0 for n in range(http_client.MOST_PAUSES)}
    http_client._silent_until.update(former)
    try:
        together(http_client.MOST_AT_ONCE, ask)
        assert len(http_client._silent_until) <= http_client.MOST_AT_ONCE
        assert http_client.talk("acme", lambda: "profile") == "profile"
    finally:
        let_go.set()


def test_cached_provider_keys_are_used_while_new_ones_cannot_be_fetched(op, clock, monkeypatch):
    monkeypatch.setattr(http_client, "PATIENCE", 0.5)
    assert round_trip(Client(), op).url == "/"
    clock.advance(hours=2)
    op.instead["/jwks"] = lambda _request: time.sleep(SOON)
    assert round_trip(Client(), op).url == "/"
    http_client._silent_until.clear()
    asked = op.count("/jwks")

    started = time.monotonic()
    assert round_trip(Client(), op).url == "/"

    assert time.monotonic() - started < (http_client.SECONDS - 1) * slack()
    assert op.count("/jwks") == asked
    clock.advance(days=1)
    assert round_trip(Client(), op).status_code == 400


def drip(answer, cut):
    """Return a handler that sends an answer and then five bytes a second, up to 20 seconds.

    It sets the event ``cut`` if the client closes the connection before.
    """

    def trouble(request):
        try:
            request.wfile.write(answer)
            for _ in range(100):
                time.sleep(0.2)
                request.wfile.write(b"a")
        except OSError:
            request.close_connection = True
            cut.set()

    return trouble


def test_a_slow_tls_answer_is_cut_off_and_frees_its_slot(op, tmp_path, monkeypatch):
    """Withstands a malicious server."""
    monkeypatch.setattr(http_client, "SECONDS", 1)
    certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem", tmp_path / "site.key")
    op._server.socket = context.wrap_socket(op._server.socket, server_side=True)
    cut = Event()
    op.instead["/"] = drip(OK + b"\r\n", cut)
    monkeypatch.setattr(http_client, "where", lambda: str(tmp_path / "ca.pem"))

    def ask():
        with http_client.taking_private():
            return http_client.session().get(op.origin.replace("http:", "https:"))

    with pytest.raises(http_client.Unreachable):
        http_client.talk("acme", ask)

    assert op.count("/") == 1
    assert cut.wait(30)
    assert within(10, lambda: http_client._slots._value == http_client.MOST_AT_ONCE)


@proves("V13.2.6")
@pytest.mark.proof
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\nA: ", OK + b"\r\n"])
@pytest.mark.parametrize("path", PATHS)
def test_a_slow_answer_is_cut_off_within_five_seconds(op, path, answer):
    op.instead[path] = drip(answer, Event())

    assert_fails_soon(op)

    del op.instead[path]
    # The provider is not contacted for a while, and then it is again.
    assert within(http_client.PAUSE + 2, lambda: visit_provider(op).status_code == 302)
