"""Requests to the API that are odd in their headers and addresses; and what the log says of all."""

import base64
from collections.abc import Iterator

import pytest

from tests.attacks.api_bodies import CALLS, Log, Target, url
from tests.attacks.test_http import END, EVIL, HEADERS, lacking, raw
from tests.attacks.test_two_nodes import BOTH, database
from tests.support.api_jwt import ME, REFRESH, REVOKE, TOKEN, VERIFY, basic, call
from tests.support.site import Site
from tests.support.steps import PASSWORD, WRONG, code_in

LISTS = (url("sessions/"), url("activity/"))
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module", params=BOTH)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    env = database(request, request.param)
    with Site(TOKEN_ALGORITHM="ES256", LIMITS_SCALE="100000", **env) as site:
        yield Target(site)


BASICS = (b"", b":", b"::", b"alice", b"\xff:x", b"\xed\xa0\x80:x", b"a\0b:x", b"alice:\0",
          b"\0:\0", b"alice:" + b"a" * 50_000, b"a" * 50_000 + b":x", b"a" * 254 + b":x",
          b"a" * 255 + b":x",
          b"alice\r\n:x", b" alice :x", "\u202ealice:x".encode(), b"alice:\xff", b"@:@",
          b"a@b:x")  # fmt: skip
AUTHORIZATIONS = (
    *("", " ", "Bearer", "Bearer ", "Basic", "Basic ", "Basic  ", ":", "Bearer:", "a", "\xff"),
    *(
        "Basic !!!!",
        "Basic YQ",
        "Basic YQ==",
        "Basic =",
        "Basic ====",
        "Basic \xe9",
        "Basic YTpi x",
    ),
    *(f"Basic {base64.b64encode(raw_text).decode()}" for raw_text in BASICS),
    *(
        "Basic YTpi x",
        "Basic YWxpY2U6eA",
        "Basic YWxpY2U6eA==\xff",
        "Bearer a b",
        "Bearer .",
        "Bearer ..",
    ),
    *("Bearer ...", "Bearer a.b.c", "Bearer e30.e30.", "Bearer \xff.\xff.\xff", "Bearer null"),
    *(
        "Digest username=alice",
        "Negotiate YQ==",
        "Token a",
        "JWT a.b.c",
        "Bearer,Bearer",
        "Bearers a",
    ),
    *("Bearer " + "a" * 9000, "Bearer " + "a" * 100_000, "Bearer " + "." * 9000),
    "Basic " + "QUFB" * 30_000,
)


def test_an_odd_authorization_is_401_in_json(target: Target) -> None:
    log = Log()
    for value in AUTHORIZATIONS:
        log.add(value, call(target.client, ME, authorization=value), 401)
        # Without any, the name is to be in the body.
        log.add(value, call(target.client, TOKEN, {}, authorization=value), 400, 401)
        log.add(value, call(target.client, VERIFY, {"token": "a"}, authorization=value), 401)
    host = "Host: {host}\r\n" + END
    for lines in ("Authorization: Bearer a\r\nAuthorization: Bearer b", "Authorization:Bearer a",
                  "AUTHORIZATION: bearer a", "Authorization: Basic\tYTpi"):  # fmt: skip
        answer = raw(target.site, f"GET {ME} HTTP/1.1\r\n{host}{lines}\r\n\r\n")
        assert answer.startswith("HTTP/1.1 401"), lines
    for lines in ("Authorization: \0", "Authorization: Bearer\r\n a", "Authorization : Bearer a"):
        answer = raw(target.site, f"GET {ME} HTTP/1.1\r\n{host}{lines}\r\n\r\n")
        assert answer.startswith("HTTP/1.1 400"), lines

    assert log.wrong == []
    assert target.made() == target.before


def test_headers_of_a_megabyte_are_refused_and_the_site_goes_on(target: Target) -> None:
    for lines in (f"Authorization: Bearer {'a' * 1_000_000}", f"X: {'a' * 1_000_000}",
                  "\r\n".join(f"X-{i}: a" for i in range(500))):  # fmt: skip
        head = f"GET {ME} HTTP/1.1\r\nHost: {{host}}\r\n"
        answer = raw(target.site, f"{head}{lines}\r\n\r\n")
        assert answer.startswith(("HTTP/1.1 431", "HTTP/1.1 400"))
    assert target.made() == target.before


@pytest.mark.parametrize("path", [ME, LISTS[0], "/api/v1/nothing/", url(f"users/{NOBODY}/")])
def test_json_is_answered_whatever_a_client_accepts(target: Target, path: str) -> None:
    bearer = f"Bearer {target.token}"
    for accept in ("", "*/*", "text/html", "application/xml", "image/*;q=0", "application/json;q=0",
                   "x" * 5000, ";;;", "\xff", "application/json; indent=99999999",
                   "application/json; a*=no-such''x", "text/html,*/*;q=" + "9" * 5000):  # fmt: skip
        headers = {"Accept": accept, "Accept-Language": accept, "Accept-Encoding": accept}
        for query in ("", "?format=api", "?format=xml", "?format=%00", f"?{'a=1&' * 300}"):
            answer = call(target.client, f"{path}{query}", authorization=bearer, **headers)
            assert answer.status in {200, 400, 404}, (accept, query)
            assert answer.headers["Content-Type"] == "application/json"
            assert len(answer.body) < 5000


PAGES = ("", "0", "-1", "1.5", "1e400", "a", "%00", "%ff", "%ed%a0%80", "9" * 19, "9" * 400, "0x1",
         "9" * 5000, "-" + "9" * 30, "1%20", "%e2%80%ae1", "1&page=2", "last'--", "1;DROP",
         "NaN")  # fmt: skip


def test_an_odd_page_or_group_is_no_fault(target: Target) -> None:
    log = Log()
    for path in LISTS:
        for page in PAGES:
            for name in ("page", "group", "limit", "offset", "page_size", "ordering", "cursor"):
                address = f"{path}?{name}={page}"
                answer = call(target.client, address, authorization=f"Bearer {target.token}")
                log.add(address[:80], answer, 200, 400, 404)
                if answer.status == 200:
                    assert answer.json["next"] is answer.json["previous"] is None

    assert log.wrong == []


IDS = ("1", "0", "-1", "9" * 40, "%00", "%ff", "%ed%a0%80", "me", "..", "%2e%2e", "*", "'--",
       NOBODY, NOBODY.upper(), NOBODY.replace("-", ""), f"{{{NOBODY}}}", f"urn:uuid:{NOBODY}",
       f"{NOBODY}%00", f"{NOBODY}%0a", f"{NOBODY}/..", f"{NOBODY};x", f"{NOBODY}.json", "f" * 32,
       "ffffffff-ffff-ffff-ffff-ffffffffffff", "a" * 5000, f"%d9%a0{NOBODY[1:]}")  # fmt: skip


@pytest.mark.parametrize("kind, method", [("users", "GET"), ("sessions", "DELETE")])
def test_an_odd_id_is_404_in_json(target: Target, kind: str, method: str) -> None:
    log = Log()
    for odd in IDS:
        bearer = f"Bearer {target.token}"
        path = url(f"{kind}/{odd}/")
        answer = call(target.client, path, method=method, authorization=bearer)
        log.add(odd, answer, 404)

    assert log.wrong == []
    assert target.made() == target.before


def test_a_host_that_is_not_ours_is_400_in_json_at_every_call(target: Target) -> None:
    for host in ("localhost:99999", EVIL, f"localhost.{EVIL}", f"localhost@{EVIL}", "localhost:",
                 f"localhost, {EVIL}", "", "[::1", "0x7f000001"):  # fmt: skip
        for path in (ME, *LISTS, url(f"users/{NOBODY}/"), "/api/v1/nothing/", "/api/v1/schema/"):
            bearer = f"Bearer {target.token}"
            answer = call(target.client, path, authorization=bearer, Host=host)
            assert answer.short == (400, "bad_request"), (host, path)
            assert EVIL not in str(answer.body)
        for to in CALLS[:8]:
            answer = call(target.client, url(to.path), to.fields, Host=host)
            assert answer.short == (400, "bad_request"), (host, str(to))
    assert target.made() == target.before


@pytest.mark.parametrize("path", [ME, TOKEN, LISTS[0], url("users/"), "/api/v1/nothing/"])
def test_a_method_that_a_call_does_not_take_is_405_with_what_it_takes(
    target: Target, path: str
) -> None:
    log = Log()
    bearer = f"Bearer {target.token}"
    for method in ("TRACE", "TRACK", "CONNECT", "PROPFIND", "FOO", "QUERY"):
        log.add(method, call(target.client, path, method=method, authorization=bearer), 405)
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "GET", "POST"):
        answer = call(target.client, path, b"{}", method=method, authorization=bearer)
        log.add(method, answer, 200, 400, 401, 404, 405)
        for name in ("X-HTTP-Method-Override", "X-Method-Override"):
            forged = {name: "DELETE", "authorization": bearer}
            same = call(target.client, path, b"{}", method=method, **forged)
            assert same.status == answer.status

    assert log.wrong == []
    assert target.made() == target.before


def test_no_answer_of_the_api_lacks_a_header(target: Target) -> None:
    bearer = f"Bearer {target.token}"
    answers = [
        call(target.client, ME, authorization=bearer),
        call(target.client, ME),
        call(target.client, ME, authorization=bearer, Host=EVIL),
        call(target.client, ME, method="TRACE"),
        call(target.client, ME, b"{", method="PATCH", authorization=bearer),
        call(target.client, VERIFY, b"x", kind="text/plain"),
        call(target.client, "/api/v1/nothing/"),
    ]

    assert [answer.status for answer in answers] == [200, 401, 400, 405, 400, 415, 404]
    for answer in answers:
        found = {name: answer.headers.get(name) for name in HEADERS}
        assert lacking(found) == []
        assert found["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


def test_no_token_password_or_header_is_in_the_log(target: Target) -> None:
    """Also where a client puts them that hasn't read how: in addresses."""
    client, site = target.client, target.site
    tokens = call(client, TOKEN, {"username": "alice", "password": PASSWORD}).json
    access, refresh = tokens["access"], tokens["refresh"]
    secrets = {PASSWORD, WRONG, *access.split("."), "Authorization", basic("alice", WRONG)}
    name = {"username": "newcomer", "email": "newcomer@example.org"}
    assert call(client, url("users/"), {**name, "password": WRONG}).status == 201
    secrets.add(code := code_in(site.wait_for_mail(to="newcomer")))
    for token in (access, refresh, f"{access}x", f"{refresh[:-1]}-"):
        secrets.add(token)
        for path in (ME, "/api/v1/nothing/", REVOKE, "/", "/nothing/"):
            call(client, f"{path}?access_token={token}&token={token}")
            call(client, f"{path}{token}/")
            call(client, f"{path}{token}", {"token": token}, authorization=f"Basic {token}")
        call(client, ME, authorization=f"Bearer {token}", Referer=f"{site.origin}/?{token}")
        call(client, ME, authorization=basic(token))
        call(client, VERIFY, f'{{"token": "{token}"'.encode(), User_Agent=token)
        call(client, VERIFY, {"token": token}, Host=f"{token}.example")
        call(client, REFRESH, {"refresh": token, "scope": token, "audience": token})
    call(
        client, TOKEN, {"username": "alice", "password": WRONG}, authorization=basic("alice", WRONG)
    )
    call(client, ME, authorization=basic("alice", WRONG))
    call(client, url("email/verify/"), {"email": "newcomer@example.org", "code": code})
    log = site.log()

    assert "/api/v1/nothing/[secret]" in log
    assert [secret for secret in secrets if secret in log] == []
