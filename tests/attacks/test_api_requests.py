"""Malformed API requests around the body: headers, methods, paths, queries and hosts."""

import base64

from tests.support.api_input import CALLS, LISTS, NO_CLIENT, NOBODY, PROFILE, VERIFY, Target, check
from tests.support.api_jwt import API, ME, TOKEN, call
from tests.support.raw_http import EVIL, HEADERS, missing_headers

BASICS = (b"", b":", b"::", b"alice", b"\xff:x", b"a\0b:x", b"alice:\0", b"a" * 50_000 + b":x",
          b"alice:" + b"a" * 50_000, b"a" * 255 + b":x", b"alice:\xff", b"@:@")  # fmt: skip
AUTHORIZATIONS = (
    *("", " ", "Bearer", "Bearer ", "Basic", "Basic ", ":", "\xff", "Basic !!!!", "Basic YQ"),
    *("Basic YQ==", "Basic =", "Basic \xe9", "Basic YTpi x", "Bearer a b", "Bearer ...", "Token a"),
    *("Bearer e30.e30.", "Bearer \xff.\xff.\xff", "Bearer,Bearer", "Bearers a"),
    *("Bearer " + "a" * 100_000, "Bearer " + "." * 9000, "Basic " + "QUFB" * 30_000),
    *(f"Basic {base64.b64encode(credentials).decode()}" for credentials in BASICS),
)


def test_a_malformed_authorization_header_is_401_in_json(target: Target) -> None:
    for value in AUTHORIZATIONS:
        for path in (ME, *LISTS, f"{API}keys/"):
            check(value, call(target.client, path, authorization=value), 401)
        # Without credentials in the header, the body must have them.
        check(value, call(target.client, TOKEN, {}, authorization=value), 400, 401)
        check(value, call(target.client, VERIFY, {"token": "a"}, authorization=value), 401)


ACCEPTS = ("", "text/html", "application/json;q=0", "x" * 5000, ";;;", "\xff",
           "application/json; a*=no-such''x", "text/html,*/*;q=" + "9" * 5000)  # fmt: skip


def test_the_answer_is_json_whatever_the_client_accepts(target: Target) -> None:
    for accept in ACCEPTS:
        headers = {"Accept": accept, "Accept-Language": accept, "Accept-Encoding": accept}
        for path in (ME, LISTS[0], NO_CLIENT, f"{API}users/{NOBODY}/"):
            for query in ("", "?format=api", "?format=%00", f"?{'a=1&' * 300}"):
                answer = target.get(f"{path}{query}", **headers)
                assert answer.status in {200, 400, 404}, (accept, query)
                assert answer.headers["Content-Type"] == "application/json"
                assert len(answer.body) < 5000


PAGES = ("", "0", "-1", "1.5", "1e400", "a", "%00", "%ff", "%ed%a0%80", "9" * 19, "9" * 5000,
         "%e2%80%ae1", "1&page=2", "NaN")  # fmt: skip
IDS = ("1", "9" * 40, "%00", "%ff", "%ed%a0%80", "me", "..", "%2e%2e", "'--", NOBODY,
       NOBODY.replace("-", ""), f"urn:uuid:{NOBODY}", f"{NOBODY}%00", f"{NOBODY}%0a",
       f"{NOBODY}.json", "a" * 5000, f"%d9%a0{NOBODY[1:]}")  # fmt: skip


def test_a_malformed_page_group_or_id_causes_no_server_error(target: Target) -> None:
    for path in LISTS:
        for page in PAGES:
            for name in ("page", "group"):
                answer = target.get(f"{path}?{name}={page}")
                check((path, name, page), answer, 200, 400, 404)
                if answer.status == 200:
                    assert answer.json["next"] is answer.json["previous"] is None
    for odd in IDS:
        check(odd, target.get(f"{API}users/{odd}/"), 404)
        check(odd, target.get(f"{API}sessions/{odd}/", method="DELETE"), 404)


def test_an_unknown_host_is_400_in_json_at_every_endpoint(target: Target) -> None:
    paths = (ME, *LISTS, f"{API}users/{NOBODY}/", NO_CLIENT, f"{API}schema/")
    for host in ("localhost:99999", EVIL, f"localhost.{EVIL}", f"localhost@{EVIL}", "localhost:",
                 f"localhost, {EVIL}", "", "[::1", "0x7f000001"):  # fmt: skip
        answers = [target.get(path, Host=host) for path in paths]
        answers += [target.send(to, to.fields, Host=host) for to in CALLS]
        for answer in answers:
            assert answer.short == (400, "bad_request"), host
            assert EVIL not in str(answer.body)


def test_a_missing_slash_is_a_404_that_says_so_and_not_a_redirect(target: Target) -> None:
    for path in (ME, *LISTS, TOKEN, f"{API}users/{NOBODY}/"):
        for method in ("GET", "POST"):
            answer = target.get(path[:-1], body=b"{}", method=method)
            assert answer.short == (404, "not_found")
            assert "slash" in answer.json["detail"]
    assert "slash" not in target.get(NO_CLIENT[:-1]).json["detail"]


def test_an_unsupported_method_is_405_with_an_allow_header(target: Target) -> None:
    for path in (ME, TOKEN, LISTS[0], f"{API}users/", NO_CLIENT):
        for method in ("TRACE", "CONNECT", "FOO"):
            check(method, target.get(path, method=method), 405)
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "GET", "POST"):
            answer = target.get(path, body=b"{}", method=method)
            check(method, answer, 200, 400, 401, 404, 405)
            other = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
            assert target.get(path, body=b"{}", method=method, **other).status == answer.status


def test_every_api_answer_has_the_security_headers(target: Target) -> None:
    answers = [
        target.get(ME),
        call(target.client, ME),
        target.get(ME, Host=EVIL),
        call(target.client, ME, method="TRACE"),
        target.send(PROFILE, b"{"),
        call(target.client, VERIFY, b"x", kind="text/plain"),
        call(target.client, NO_CLIENT),
    ]

    assert [answer.status for answer in answers] == [200, 401, 400, 405, 400, 415, 404]
    for answer in answers:
        found = {name: answer.headers.get(name) for name in HEADERS}
        assert missing_headers(found) == []
        assert found["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
