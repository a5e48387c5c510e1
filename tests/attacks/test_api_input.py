"""The API answers whatever a client sends in JSON: no fault, and nothing half made or logged."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client as InProcess

from tests.attacks.test_http import END, EVIL, HEADERS, lacking, raw
from tests.attacks.test_timing import member
from tests.support.api_jwt import API, ME, TOKEN, Answer, basic, call, get_tokens
from tests.support.signin import set_up
from tests.support.site import Site
from tests.support.steps import PASSWORD, WRONG, code_in, make_user

LONG, LIMIT, MEGABYTE = 60_000, 65_536, 1_000_000
NOBODY = "00000000-0000-4000-8000-000000000000"
LISTS = (f"{API}sessions/", f"{API}activity/")
NO_CLIENT, VERIFY = f"{API}nothing/", f"{API}token/verify/"
BIDI = "\u202eecila"
FORM = "application/x-www-form-urlencoded"
TABLES = ("user", "pendingsignup", "username", "emailaddress", "loginsession", "tokenchallenge",
          "outgoingmail")  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A call and fields of the right types, which it refuses or which change nothing."""

    path: str
    fields: dict[str, Any]
    method: str = "POST"
    takes_forms: bool = False
    # Besides 400, the answer to what is no token.
    no_token: tuple[int, ...] = ()


WISH = {"audience": "https://nowhere.example", "scope": "everything"}
USERS = Call("users/", {"username": "erin", "email": "erin@", "password": "too short"})
LOGIN = Call("token/", {"username": "erin", "email": "erin@example.org", "password": WRONG, **WISH})
REVOCATION = Call("token/revoke/", {"token": "none"}, takes_forms=True, no_token=(200,))
PROFILE = Call(
    "me/",
    {"display_name": BIDI, "about": BIDI, "language": "xx", "time_zone": "Mars/Base"},
    method="PATCH",
)
CALLS = (
    USERS,
    Call("email/verify/", {"email": "erin@example.org", "code": "ZZZZ9999"}),
    Call("email/resend/", {"email": "erin@example.org"}),
    LOGIN,
    Call("token/challenge/", {"challenge": "none", "code": "123456", "method": "smoke"}),
    Call("token/refresh/", {"refresh": "none", **WISH}, no_token=(401,)),
    Call("token/verify/", {"token": "none"}, no_token=(401,)),
    REVOCATION,
    PROFILE,
)
ANSWERED = {"email/resend/", "token/revoke/"}

NO_STRINGS: tuple[Any, ...] = (None, True, 0, -1, 1.5, 2**63, 10**400, [], ["a"], {}, {"$ne": ""})
# No field takes them: they aren't text, or are too long for every field.
NO_TEXTS = ("\0", "a\0b", "\ud800", "\udc00\ud800", "a" * LONG, "\ud83d" * 300)
ODD_TEXTS = (
    *("", " ", "\t\r\n", BIDI, "\u200b", "\ufffe", "\U0010ffff", "\ufdfa" * 9_000, "' OR 1=1 --"),
    *("a\r\nBcc: mallory@example.org", "\u0661\u0662\u0663\u0664\u0665\u0666", "{{ 7*7 }}"),
    *("../../etc/passwd", "%00", "%s%n", "erin@", f"{'a' * 64}@{'b' * 300}.org", "erin@[::1]"),
)


def raw_bodies(fields: dict[str, Any]) -> list[bytes]:
    """Return bodies that are no JSON object, or whose first field has an impossible value."""
    whole, name = json.dumps(fields).encode(), next(iter(fields)).encode()
    odd = [b"null", b"true", b"0", b'""', b"[]", b'["a"]', b"1e999", b"NaN", b"\0", b"\xff\xfe"]
    odd += [b"\xed\xa0\x80", b"{", whole[:-1], whole + b"}", whole * 2, b"\xef\xbb\xbf" + whole]
    odd += [whole.decode().encode("utf-16"), b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b"// a\n{}"]
    odd += [b'"\xc0\xaf"', b"a=b", b"<a/>", b"9" * LONG, b'"' + b"a" * (LIMIT - 2) + b'"']
    values = [b"NaN", b"Infinity", b"1e999", b"9" * 4000, b"9" * 5000, b'"\xff"', b'"\n"']
    values += [b'"\\ud800\\ud800"', b'"\\x00"', b"1" + b"0" * LONG]
    odd += [b'{"%s": %s}' % (name, value) for value in values]
    return [*odd, b"{" + b", ".join([b'"%s": 1' % name] * 2_000) + b"}"]


def check(sent: Any, answer: Answer, *statuses: int) -> None:
    """Fail unless the status is one of ``statuses`` and an error is told as it should be."""
    told = f"{sent!r:.100} {answer.status} {answer.body[:100]!r}"
    assert answer.status in statuses, told
    assert is_in_shape(answer), told


def is_in_shape(answer: Answer) -> bool:
    """Whether an error is told as the contract has it, with the headers of its status."""
    if answer.status < 400:
        return True
    needs = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
    needed = needs.get(answer.status, "Content-Type")
    if answer.headers["Content-Type"] != "application/json" or not answer.headers.get(needed):
        return False
    told = answer.json
    if "detail" in told:
        return bool(told["code"]) and all(isinstance(told[n], str) for n in ("detail", "code"))
    return answer.status == 400 and all(
        texts and isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        for texts in told.values()
    )


class Target:
    """The API with one member, whose token goes with every call that needs one."""

    def __init__(self, client: Any, name: str = "alice") -> None:
        self.client = client
        self.bearer = f"Bearer {get_tokens(client, name, PASSWORD)['access']}"

    def send(self, to: Call, body: Any, **more: Any) -> Answer:
        """Make the call ``to`` with another body."""
        if to is PROFILE:
            more.setdefault("authorization", self.bearer)
        return call(self.client, f"{API}{to.path}", body, method=to.method, **more)

    def get(self, path: str, **more: Any) -> Answer:
        """Make a call without a body as the member."""
        return call(self.client, path, authorization=self.bearer, **more)

    def made(self) -> list[Any]:
        """Return how many rows there are, and what is told of the member."""
        models = [apps.get_model("accounts", name) for name in TABLES]
        return [*(model.objects.count() for model in models), self.get(ME).json]


def storable(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Run a statement; fail for text and numbers that PostgreSQL refuses and SQLite stores."""
    for value in params or ():
        if isinstance(value, str):
            assert "\0" not in value, sql
            value.encode()  # no lone surrogate has a code in UTF-8
        assert not isinstance(value, int) or abs(value) < 2**63, sql
    return execute(sql, params, many, context)


@pytest.fixture
def target(db: None, settings: Any) -> Iterator[Target]:
    """The API in process, without limits; a test must leave alice and the tables unchanged."""
    set_up(settings, limits_scale=100_000)
    make_user("alice")
    target = Target(InProcess())
    before = target.made()
    with connection.execute_wrapper(storable):
        yield target
    assert target.made() == before


def test_no_value_of_any_field_is_a_fault_or_half_makes_anything(target: Target) -> None:
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


def test_no_body_is_a_fault_or_half_makes_anything(target: Target) -> None:
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


def test_a_member_that_a_call_does_not_know_is_named(target: Target) -> None:
    for to in CALLS:
        for name in ("passwort", "token_typ_hint", "__proto__", "x" * 64):
            answer = target.send(to, {**to.fields, name: "x"})
            check(name, answer, 400)
            assert name in answer.json
        for name in ("detail", "", "\ud800", "a\nb", "x" * LONG, BIDI, "\0"):
            answer = target.send(to, {**to.fields, name: "x"})
            check(name, answer, 400)
            assert ascii(name[:32]) in answer.json["non_field_errors"][0]
    hinted = {"token": "none", "token_type_hint": "x"}
    check(hinted, target.send(REVOCATION, hinted), 200)


def test_a_body_of_more_than_64_kib_is_refused_before_it_is_parsed(target: Target) -> None:
    for to in (*CALLS, Call("nothing/", {})):
        largest = b"[" + b" " * (LIMIT - 2) + b"]"
        check("64 KiB", target.send(to, largest), 400, 404)
        answer = target.send(to, largest + b" ")
        assert answer.short == (413, "content_too_large")


KINDS = ("", ";", "/", "json", "text/plain", FORM, "application/jsonp", "multipart/form-data",
         "application/json, text/plain", "\xff", "application/json\xff")  # fmt: skip
JSONS = ("APPLICATION/JSON", "application/json;", "application/json ;x",
         "application/json; charset=utf-16", "application/json; charset=no-such")  # fmt: skip


def test_what_is_no_json_is_415_and_no_charset_is_looked_at(target: Target) -> None:
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


def test_forms_out_of_shape_revoke_nothing_and_are_no_fault(target: Target) -> None:
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
)


def test_an_odd_authorization_is_401_in_json(target: Target) -> None:
    for value in AUTHORIZATIONS:
        for path in (ME, *LISTS, f"{API}keys/"):
            check(value, call(target.client, path, authorization=value), 401)
        # Without any, the name is to be in the body.
        check(value, call(target.client, TOKEN, {}, authorization=value), 400, 401)
        check(value, call(target.client, VERIFY, {"token": "a"}, authorization=value), 401)


ACCEPTS = ("", "text/html", "application/json;q=0", "x" * 5000, ";;;", "\xff",
           "application/json; a*=no-such''x", "text/html,*/*;q=" + "9" * 5000)  # fmt: skip


def test_json_is_answered_whatever_a_client_accepts(target: Target) -> None:
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


def test_an_odd_page_group_or_id_is_no_fault(target: Target) -> None:
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


def test_a_host_that_is_not_ours_is_400_in_json_at_every_call(target: Target) -> None:
    paths = (ME, *LISTS, f"{API}users/{NOBODY}/", NO_CLIENT, f"{API}schema/")
    for host in ("localhost:99999", EVIL, f"localhost.{EVIL}", f"localhost@{EVIL}", "localhost:",
                 f"localhost, {EVIL}", "", "[::1", "0x7f000001"):  # fmt: skip
        answers = [target.get(path, Host=host) for path in paths]
        answers += [target.send(to, to.fields, Host=host) for to in CALLS]
        for answer in answers:
            assert answer.short == (400, "bad_request"), host
            assert EVIL not in str(answer.body)


def test_a_missing_slash_is_404_that_says_so_and_no_redirect(target: Target) -> None:
    for path in (ME, *LISTS, TOKEN, f"{API}users/{NOBODY}/"):
        for method in ("GET", "POST"):
            answer = target.get(path[:-1], body=b"{}", method=method)
            assert answer.short == (404, "not_found")
            assert "slash" in answer.json["detail"]
    assert "slash" not in target.get(NO_CLIENT[:-1]).json["detail"]


def test_a_method_that_a_call_does_not_take_is_405_with_what_it_takes(target: Target) -> None:
    for path in (ME, TOKEN, LISTS[0], f"{API}users/", NO_CLIENT):
        for method in ("TRACE", "CONNECT", "FOO"):
            check(method, target.get(path, method=method), 405)
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "GET", "POST"):
            answer = target.get(path, body=b"{}", method=method)
            check(method, answer, 200, 400, 401, 404, 405)
            other = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
            assert target.get(path, body=b"{}", method=method, **other).status == answer.status


def test_no_answer_of_the_api_lacks_a_header(target: Target) -> None:
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
        assert lacking(found) == []
        assert found["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.proof
def test_text_that_postgresql_can_not_store_is_no_fault(postgres: Any) -> None:
    """What ``storable`` stands for, on the real server."""
    with Site(LIMITS_SCALE="100000", DATABASE_URL=postgres.database()) as site:
        member(site, "alice")
        real = Target(site.client())
        for to in CALLS:
            for name in to.fields:
                for value in ("a\0b", "\ud800", 2**64):
                    answer = real.send(to, {**to.fields, name: value})
                    check((name, value), answer, 400, *to.no_token)


@pytest.fixture(scope="module")
def server(site: Site) -> Target:
    """The API of a real site, for what the server does before a call is found."""
    member(site, "parser")
    return Target(site.client(), "parser")


def deep_bodies(name: str) -> Iterator[bytes]:
    """Yield lists and objects in each other, up to where a parser gives up, as a field's value."""
    for start, inner, end in ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}"), (b'{"":[', b"", b"]}")):
        for depth in (1000, 2000, 6000, 9900, 9990, 50_000):
            yield b'{"%s": ' % name.encode() + start * depth + inner + end * depth + b"}"
    yield from (b"[" * MEGABYTE, b'{"a":' * 100_000)


def test_objects_in_objects_do_not_end_the_server(server: Target) -> None:
    """Two such requests of 54 KB, by anybody, would end both processes of the site."""
    for to in CALLS:
        for body in deep_bodies(next(iter(to.fields))):
            check(body, server.send(to, body), 400 if len(body) <= LIMIT else 413)


def test_bodies_and_headers_without_end_are_refused_before_they_are_read(
    server: Target, site: Site
) -> None:
    host = "Host: {host}\r\n" + END
    # What is larger than a call and no larger than a page's form is read, so that none loses its
    # answer to a connection that is reset.
    for to in (LOGIN, PROFILE):
        check("2 MB", server.send(to, b"[" + b" " * 2 * MEGABYTE), 413)
    for length in (2_621_441, 10**18, 10**40):
        for to in CALLS:
            head = f"{to.method} {API}{to.path} HTTP/1.1\r\n{host}"
            answer = raw(site, f"{head}Content-Length: {length}\r\n\r\n")
            if length < 2**63:
                assert answer.startswith("HTTP/1.1 413"), to
                assert '"code": "content_too_large"' in answer, to
            assert answer.startswith("HTTP/1.1 4"), to
    long, many = "a" * MEGABYTE, "\r\n".join(f"X-{i}: a" for i in range(500))
    for lines in (f"Authorization: Bearer {long}", f"X: {long}", many):
        answer = raw(site, f"GET {ME} HTTP/1.1\r\n{host}{lines}\r\n\r\n")
        assert answer.startswith(("HTTP/1.1 431", "HTTP/1.1 400"))
    for lines, status in (
        ("Authorization: Bearer a\r\nAuthorization: Bearer b", 401),
        ("AUTHORIZATION: bearer a", 401),
        ("Authorization: \0", 400),
        ("Authorization: Bearer\r\n a", 400),
        ("Authorization : Bearer a", 400),
    ):
        answer = raw(site, f"GET {ME} HTTP/1.1\r\n{host}{lines}\r\n\r\n")
        assert answer.startswith(f"HTTP/1.1 {status}"), lines
    # Django's own parser of media types gives up here, before any call is found.
    for more in ("; a*=no-such''x", ";a=b" * 4000, "y" * 8000):
        kind = f"application/json{more}"
        assert [server.send(to, {}, kind=kind).status for to in CALLS] == [415] * len(CALLS)
    assert server.get(ME).status == 200


def test_no_token_password_or_header_is_in_the_log(server: Target, site: Site) -> None:
    """Some clients put them in addresses, where they don't belong."""
    client = server.client
    login = {"username": "parser", "password": PASSWORD}
    tokens = call(client, TOKEN, login).json
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
