"""Hostile API input at a real server: what PostgreSQL, the JSON parser and the log make of it."""

import pytest

from tests.support.api_input import (
    CALLS,
    LIMIT,
    LOGIN,
    MEGABYTE,
    NO_CLIENT,
    PROFILE,
    VERIFY,
    Target,
    check,
)
from tests.support.api_jwt import API, ME, TOKEN, basic, call
from tests.support.raw_http import END, raw
from tests.support.standards import proves
from tests.support.steps import PASSWORD, WRONG, code_in, member


@pytest.fixture(scope="module")
def server(site):
    """The API of a real server, which handles some requests before any view."""
    member(site, "parser")
    return Target(site.client(), "parser")


def deep_bodies(name):
    """Yield bodies with lists and objects nested ever deeper in the field ``name``."""
    for start, inner, end in ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}"), (b'{"":[', b"", b"]}")):
        for depth in (1000, 2000, 6000, 9900, 9990, 50_000):
            yield b'{"%s": ' % name.encode() + start * depth + inner + end * depth + b"}"
    yield from (b"[" * MEGABYTE, b'{"a":' * 100_000)


@proves("V1.5.2")
def test_deeply_nested_json_does_not_crash_the_server(server):
    """Withstands a flood.

    Without a limit, two anonymous requests of 54 KB would crash both server processes.
    """
    for to in CALLS:
        for body in deep_bodies(next(iter(to.fields))):
            check(body, server.send(to, body), 400 if len(body) <= LIMIT else 413)


def test_oversized_bodies_and_headers_are_refused_before_they_are_read(server, site):
    """Withstands a flood."""
    host = "Host: {host}\r\n" + END
    # A body above the API's limit but below the limit of forms is read before it is refused, so
    # that the connection is not reset before the client gets the answer.
    for to in (LOGIN, PROFILE):
        check("2 MB", server.send(to, b"[" + b" " * 2 * MEGABYTE), 413)
    for to in CALLS:
        for length, status in ((2_621_441, 413), (10**18, 413), (10**40, 400)):
            head = f"{to.method} {API}{to.path} HTTP/1.1\r\n{host}"
            answer = raw(site, f"{head}Content-Length: {length}\r\n\r\n")
            assert answer.startswith(f"HTTP/1.1 {status}"), (to, length)
    long, many = "a" * MEGABYTE, "\r\n".join(f"X-{i}: a" for i in range(500))
    for lines in (f"Authorization: Bearer {long}", f"X: {long}", many):
        answer = raw(site, f"GET {ME} HTTP/1.1\r\n{host}{lines}\r\n\r\n")
        assert answer.startswith(("HTTP/1.1 431", "HTTP/1.1 400"))
    # Django's own parser of media types fails on these, before any view is called.
    for more in ("; a*=no-such''x", ";a=b" * 3000, "y" * 8000):
        kind = f"application/json{more}"
        assert [server.send(to, {}, kind=kind).status for to in CALLS] == [415] * len(CALLS)
    assert server.get(ME).status == 200


def test_no_token_password_or_header_is_in_the_log(server, site):
    """Withstands a thief with the database.

    Some clients put secrets in URLs.
    """
    client = server.client
    login = {"username": "parser", "password": PASSWORD}
    tokens = call(client, TOKEN, login).body
    access, refresh = tokens["access"], tokens["refresh"]
    secrets = {PASSWORD, WRONG, *access.split("."), "Authorization", basic("parser", WRONG)}
    name = {"username": "newcomer", "email": "newcomer@example.org"}
    assert call(client, f"{API}users/", {**name, "password": WRONG}).status == 201
    code = code_in(site.wait_for_mail(to="newcomer"))
    secrets |= {code, access, refresh, f"{access}x", f"{refresh[:-1]}-"}
    for token in (access, refresh, f"{access}x", f"{refresh[:-1]}-"):
        for path in (ME, NO_CLIENT, f"{API}token/revoke/", "/", "/nothing/"):
            call(client, f"{path}?access_token={token}&token={token}")
            call(client, f"{path}{token}/")
            call(client, f"{path}{token}", {"token": token}, authorization=f"Basic {token}")
        call(client, ME, authorization=f"Bearer {token}", Referer=f"{site.origin}/?{token}")
        call(client, ME, authorization=basic(token))
        call(client, VERIFY, f'{{"token": "{token}"'.encode(), User_Agent=token)
        call(client, VERIFY, {"token": token}, Host=f"{token}.example")
        call(client, f"{API}token/refresh/", {"refresh": token, "scope": token, "audience": token})
    wrong = basic("parser", WRONG)
    call(client, TOKEN, login | {"password": WRONG}, authorization=wrong)
    call(client, ME, authorization=wrong)
    call(client, f"{API}email/verify/", {"email": name["email"], "code": code})

    assert f"{NO_CLIENT}[secret]" in site.log()
    assert [secret for secret in secrets if secret in site.log()] == []
