"""Malformed requests to the API."""

import base64
import json
from typing import Any

from tests.support.api_input import (
    BIDI,
    CALLS,
    FORM,
    LIMIT,
    LISTS,
    LOGIN,
    LONG,
    NO_CLIENT,
    NOBODY,
    PROFILE,
    REVOCATION,
    VERIFY,
    Call,
    check,
)
from tests.support.api_jwt import API, ME, TOKEN, call
from tests.support.raw_http import EVIL
from tests.support.standards import proves
from tests.support.steps import PASSWORD

ANSWERED = {"email/resend/", "token/revoke/"}
NO_STRINGS: tuple[Any, ...] = (None, True, 10**400, ["a"], {"$ne": ""})
# No field accepts these: they are not valid Unicode text, or too long.
NO_TEXTS = ("a\0b", "\udc00\ud800", "a" * LONG)

ODD_TEXTS = (
    *("", "\t\r\n", BIDI, "\ufffe", "\U0010ffff", "\ufdfa" * 9_000, "a\r\nBcc: b@example.org"),
    *("\u0661\u0662\u0663\u0664\u0665\u0666", "%s%n", f"{'a' * 64}@{'b' * 300}.org", "erin@[::1]"),
)


def raw_bodies(fields):
    """Return bodies that are no JSON object or have an impossible value in the first field."""
    whole, name = json.dumps(fields).encode(), next(iter(fields)).encode()
    odd = [b"null", b"0", b'""', b'["a"]', b"NaN", b"\0", b"\xff\xfe", b"\xed\xa0\x80", whole[:-1]]
    odd += [whole * 2, b"\xef\xbb\xbf" + whole, whole.decode().encode("utf-16"), b"{'a': 1}"]
    odd += [b'"\xc0\xaf"', b"a=b", b"9" * LONG, b'"' + b"a" * (LIMIT - 2) + b'"']
    values = [b"NaN", b"1e999", b"9" * 4000, b"9" * 5000, b'"\xff"', b'"\n"']
    values += [b'"\\ud800\\ud800"', b'"\\x00"', b"1" + b"0" * LONG]
    odd += [b'{"%s": %s}' % (name, value) for value in values]
    return [*odd, b"{" + b", ".join([b'"%s": 1' % name] * 2_000) + b"}"]


@proves("V1.3.12", "V2.2.1", "V15.3.5")
def test_no_field_value_causes_a_server_error_or_a_partial_change(target):
    """Withstands a hostile client."""
    for to in CALLS:
        for name in to.fields:
            for value in (*NO_STRINGS, *NO_TEXTS):
                statuses = to.no_token if value in NO_TEXTS else ()
                check((name, value), target.send(to, {**to.fields, name: value}), 400, *statuses)
                if to is PROFILE:
                    check((name, value), target.send(to, {name: value}), 400)
            for value in ODD_TEXTS:
                statuses = (200, 400, 401) if to.path in ANSWERED else (400, 401)
                check((name, value), target.send(to, {**to.fields, name: value}), *statuses)
            rest = {other: value for other, value in to.fields.items() if other != name}
            check(("without", name), target.send(to, rest), 400, 401)
            check((name, "[]"), target.send(to, {**rest, f"{name}[]": "a"}), 400, 401)


@proves("V1.5.2", "V2.2.2")
def test_no_body_causes_a_server_error_or_a_partial_change(target):
    many = json.dumps({str(i): i for i in range(4_000)}).encode()
    for to in CALLS:
        for body in raw_bodies(to.fields):
            check(body, target.send(to, body), 400, *to.no_token)
        for body in (b"", b"{}", b" {} "):
            check(body, target.send(to, body), 200 if to is PROFILE else 400)
        for body in (b'{"x": {"y": [1, null, "\\u0000"]}}', many):
            check(body, target.send(to, body), 400)
    twice = b'{"username": "alice", "username": "nobody", "password": "%s"}' % PASSWORD.encode()
    assert target.send(LOGIN, twice).short == (401, "invalid_credentials"), "the last one counts"


@proves("V2.2.1", "V15.3.3")
def test_an_unknown_field_is_named_in_the_error(target):
    for to in CALLS:
        for name in ("passwort", "token_typ_hint", "__proto__", "x" * 64):
            answer = target.send(to, {**to.fields, name: "x"})
            check(name, answer, 400)
            assert name in answer.body
        for name in ("detail", "", "\ud800", "a\nb", "x" * LONG, BIDI, "\0"):
            answer = target.send(to, {**to.fields, name: "x"})
            check(name, answer, 400)
            assert ascii(name[:32]) in answer.body["non_field_errors"][0]
    hinted = {"token": "none", "token_type_hint": "x"}
    check(hinted, target.send(REVOCATION, hinted), 200)


def test_a_body_of_more_than_64_kib_is_refused_before_it_is_parsed(target):
    """Withstands a flood."""
    for to in (*CALLS, Call("nothing/", {})):
        largest = b"[" + b" " * (LIMIT - 2) + b"]"
        check("64 KiB", target.send(to, largest), 400, 404)
        answer = target.send(to, largest + b" ")
        assert answer.short == (413, "content_too_large")


KINDS = ("", ";", "/", "json", "text/plain", FORM, "application/jsonp", "multipart/form-data",
         "application/json, text/plain", "\xff", "application/json\xff")  # fmt: skip
JSONS = ("APPLICATION/JSON", "application/json;", "application/json ;x",
         "application/json; charset=utf-16", "application/json; charset=no-such")  # fmt: skip


@proves("V1.5.3")
def test_a_body_that_is_not_json_is_415_and_its_charset_is_ignored(target):
    head = b'--x\r\nContent-Disposition: form-data; name="token"; filename="a"\r\n\r\n'
    for to in CALLS:
        for kind in KINDS:
            statuses = (400, 415) if to.takes_forms else (415,)
            check(kind, target.send(to, {**to.fields}, kind=kind), *statuses)
        for kind in JSONS:
            body = b'{"token": 1, "about": 1, "language": 1}'
            check(kind, target.send(to, body, kind=kind), 400)
        file = head + b"a\r\n--x--\r\n"
        check("file", target.send(to, file, kind="multipart/form-data; boundary=x"), 415)


def test_malformed_forms_revoke_nothing_and_cause_no_server_error(target):
    many = b"&".join(b"f%d=" % i for i in range(300))
    for body in (b"", b"&&&", b"=", b"x=y", b"Token=a", b"token[]=a", many):
        check(body, target.send(REVOCATION, body, kind=FORM), 400)
    for body in (b"token", b"token=", b"token=%00", b"token=a%00b", b"token=" + b"a" * LONG):
        check(body, target.send(REVOCATION, body, kind=FORM), 200)
    for body in (b"token=%ed%a0%80", b"token=%zz", b"token=\xff", b"token=a&token=b", b"token=+"):
        check(body, target.send(REVOCATION, body, kind=FORM), 200, 400)


BASICS = (b"", b":", b"::", b"alice", b"\xff:x", b"a\0b:x", b"alice:\0", b"a" * 50_000 + b":x",
          b"alice:" + b"a" * 50_000, b"a" * 255 + b":x", b"alice:\xff", b"@:@")  # fmt: skip

AUTHORIZATIONS = (
    *("", " ", "Bearer", "Bearer ", "Basic", "Basic ", ":", "\xff", "Basic !!!!", "Basic YQ"),
    *("Basic YQ==", "Basic =", "Basic \xe9", "Basic YTpi x", "Bearer a b", "Bearer ...", "Token a"),
    *("Bearer e30.e30.", "Bearer \xff.\xff.\xff", "Bearer,Bearer", "Bearers a"),
    *("Bearer " + "a" * 100_000, "Bearer " + "." * 9000, "Basic " + "QUFB" * 30_000),
    *(f"Basic {base64.b64encode(credentials).decode()}" for credentials in BASICS),
    # The right password, with a character that is not of Base64.
    f"Basic !{base64.b64encode(f'alice:{PASSWORD}'.encode()).decode()}",
)


def test_a_malformed_authorization_header_is_401_in_json(target):
    """Withstands a hostile client."""
    for value in AUTHORIZATIONS:
        for path in (ME, *LISTS, f"{API}keys/"):
            check(value, call(target.client, path, authorization=value), 401)
        # Without credentials in the header, the body must have them.
        check(value, call(target.client, TOKEN, {}, authorization=value), 400, 401)
        check(value, call(target.client, VERIFY, {"token": "a"}, authorization=value), 401)


ACCEPTS = ("", "text/html", "application/json;q=0", "x" * 5000, ";;;", "\xff",
           "application/json; a*=no-such''x", "text/html,*/*;q=" + "9" * 5000)  # fmt: skip


@proves("V3.5.6", "V4.1.1")
def test_the_answer_is_json_whatever_the_client_accepts(target):
    for accept in ACCEPTS:
        headers = {"Accept": accept, "Accept-Language": accept, "Accept-Encoding": accept}
        for path in (ME, LISTS[0], NO_CLIENT, f"{API}users/{NOBODY}/"):
            for query in ("", "?format=api", "?format=%00", f"?{'a=1&' * 300}"):
                answer = target.get(f"{path}{query}", **headers)
                assert answer.status in {200, 400, 404}, (accept, query)
                assert answer.headers["Content-Type"] == "application/json"
                assert len(answer.content) < 5000
    assert target.get(f"{ME}?callback=alert").status == 400, "there is no JSONP"


PAGES = ("", "0", "-1", "1.5", "1e400", "a", "%00", "%ff", "%ed%a0%80", "9" * 19, "9" * 5000,
         "%e2%80%ae1", "1&page=2", "NaN")  # fmt: skip

IDS = ("1", "9" * 40, "%00", "%ff", "%ed%a0%80", "me", "..", "%2e%2e", "'--", NOBODY,
       NOBODY.replace("-", ""), f"urn:uuid:{NOBODY}", f"{NOBODY}%00", f"{NOBODY}%0a",
       f"{NOBODY}.json", "a" * 5000, f"%d9%a0{NOBODY[1:]}")  # fmt: skip


def test_a_malformed_page_group_or_id_causes_no_server_error(target):
    for path in LISTS:
        for page in PAGES:
            for name in ("page", "group"):
                answer = target.get(f"{path}?{name}={page}")
                check((path, name, page), answer, 200, 400, 404)
                if answer.status == 200:
                    assert answer.body["next"] is answer.body["previous"] is None
    for odd in IDS:
        check(odd, target.get(f"{API}users/{odd}/"), 404)
        check(odd, target.get(f"{API}sessions/{odd}/", method="DELETE"), 404)


def test_an_unknown_host_is_400_in_json_at_every_endpoint(target):
    """Withstands a hostile client."""
    paths = (ME, *LISTS, f"{API}users/{NOBODY}/", NO_CLIENT, f"{API}schema/")
    for host in ("localhost:99999", EVIL, f"localhost.{EVIL}", f"localhost@{EVIL}", "localhost:",
                 f"localhost, {EVIL}", "", "[::1", "0x7f000001"):  # fmt: skip
        answers = [target.get(path, Host=host) for path in paths]
        answers += [target.send(to, to.fields, Host=host) for to in CALLS]
        for answer in answers:
            assert answer.short == (400, "bad_request"), host
            assert EVIL not in str(answer.body)


def test_a_missing_slash_is_a_404_that_says_so_and_not_a_redirect(target):
    """Withstands a hostile client."""
    for path in (ME, *LISTS, TOKEN, f"{API}users/{NOBODY}/"):
        for method in ("GET", "POST"):
            answer = target.get(path[:-1], body=b"{}", method=method)
            assert answer.short == (404, "not_found")
            assert "slash" in answer.body["detail"]
    assert "slash" not in target.get(NO_CLIENT[:-1]).body["detail"]


@proves("V4.1.4")
def test_an_unsupported_method_is_405_with_an_allow_header(target):
    for path in (ME, TOKEN, LISTS[0], f"{API}users/", NO_CLIENT):
        for method in ("TRACE", "CONNECT", "FOO"):
            check(method, target.get(path, method=method), 405)
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "GET", "POST"):
            answer = target.get(path, body=b"{}", method=method)
            check(method, answer, 200, 400, 401, 404, 405)
            other = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
            assert target.get(path, body=b"{}", method=method, **other).status == answer.status
