"""Whatever a client sends is told to be wrong in JSON: never a fault, never something half made."""

import json
from collections.abc import Iterator

import pytest

from tests.attacks.api_bodies import (
    CALLS,
    NO_STRINGS,
    NO_TEXTS,
    ODD_TEXTS,
    Call,
    Log,
    Target,
    deep_bodies,
    raw_bodies,
    url,
)
from tests.attacks.test_http import END, raw
from tests.attacks.test_two_nodes import BOTH, database
from tests.support.site import Site
from tests.support.steps import PASSWORD

LIMIT = 2_621_440
# How a form is told where there is none.
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module", params=BOTH)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    env = database(request, request.param)
    with Site(TOKEN_ALGORITHM="ES256", LIMITS_SCALE="100000", **env) as site:
        yield Target(site)


@pytest.mark.parametrize("to", CALLS, ids=str)
def test_no_value_of_any_field_is_a_fault_or_half_makes_anything(target: Target, to: Call) -> None:
    log = Log()
    for name in to.fields:
        for value in (*NO_STRINGS, *NO_TEXTS):
            statuses = to.no_token if value in NO_TEXTS else ()
            log.add((name, value), target.send(to, {**to.fields, name: value}), 400, *statuses)
            if to.method == "PATCH":
                log.add((name, value), target.send(to, {name: value}), 400)
        for value in ODD_TEXTS:
            # Of more than one reason the answer tells one: fields, or who is nobody.
            statuses = (200, 400, 401) if to.path in RESENDS else (400, 401)
            log.add((name, value), target.send(to, {**to.fields, name: value}), *statuses)
        rest = {other: value for other, value in to.fields.items() if other != name}
        log.add(("without", name), target.send(to, rest), 400, 401)
        log.add((name, "[]"), target.send(to, {**rest, f"{name}[]": "a"}), 400, 401)

    assert log.wrong == []
    assert target.made() == target.before


RESENDS = {"email/resend/", "token/revoke/"}


@pytest.mark.parametrize("to", CALLS, ids=str)
def test_no_body_is_a_fault_or_half_makes_anything(target: Target, to: Call) -> None:
    log = Log()
    for body in raw_bodies(to.fields):
        log.add(body, target.send(to, body), 400, *to.no_token)
    many = json.dumps({str(i): i for i in range(50_000)}).encode()
    for body in (b"", b"{}", b" {} ", b'{"x": {"y": [1, null, "\\u0000"]}}', many):
        log.add(body, target.send(to, body), to.empty)
    log.add(LIMIT, target.send(to, b'"' + b"a" * (LIMIT - 2) + b'"'), 400)

    assert log.wrong == []
    assert target.made() == target.before


def test_objects_in_objects_do_not_end_the_server(target: Target) -> None:
    """One such request, of 54 KB and by anybody, would end the process; two of them the site."""
    log = Log()
    for to in CALLS:
        for body in (body for name in to.fields for body in deep_bodies(name)):
            log.add(body, target.send(to, body), 400)

    assert log.wrong == []
    assert "exit" not in target.site.log()


KINDS = ("", " ", ";", "/", "json", "text/plain", "text/json", "application/xml", FORM,
         "application/jsonp", "application/json5", "multipart/form-data",
         "multipart/form-data; boundary=x", "application/json, text/plain", "\xff",
         "application/json\xff", "application/json; a*=no-such''x", "x/" + "y" * 8000,
         "application/json" + ";a=b" * 4000)  # fmt: skip
CHARSETS = ("hex", "utf-16", "undefined", "no-such")
JSONS = ("application/json", "APPLICATION/JSON", "application/json;", "application/json ;x",
         *(f"application/json; charset={charset}" for charset in CHARSETS))  # fmt: skip


@pytest.mark.parametrize("to", CALLS, ids=str)
def test_what_is_no_json_is_415_and_no_charset_is_looked_at(target: Target, to: Call) -> None:
    log = Log()
    for kind in KINDS:
        statuses = (400, 415) if to.takes_forms else (415,)
        log.add(kind, target.send(to, {**to.fields}, kind=kind), *statuses)
    for kind in JSONS:
        log.add(kind, target.send(to, b'{"token": 1, "about": 1, "language": 1}', kind=kind), 400)
    part = (
        b'--x\r\nContent-Disposition: form-data; name="token"; filename="a"\r\n\r\na\r\n--x--\r\n'
    )
    log.add("file", target.send(to, part, kind="multipart/form-data; boundary=x"), 415)

    assert log.wrong == []
    assert target.made() == target.before


@pytest.mark.parametrize("length", [LIMIT + 1, 10**9, 10**18, 10**40])
def test_a_body_longer_than_any_is_refused_before_it_is_there(target: Target, length: int) -> None:
    for to in CALLS:
        head = f"{to.method} {url(to.path)} HTTP/1.1\r\nHost: {{host}}\r\n{END}"
        answer = raw(target.site, f"{head}Content-Length: {length}\r\n\r\n")
        if length < 2**63:
            assert answer.startswith("HTTP/1.1 413"), to
            assert '"code": "content_too_large"' in answer, to
        assert answer.startswith("HTTP/1.1 4"), to


def test_forms_out_of_shape_revoke_nothing_and_are_no_fault(target: Target) -> None:
    to = next(to for to in CALLS if to.takes_forms)
    log = Log()
    many = b"&".join(b"f%d=" % i for i in range(300))
    for body in (b"", b"&&&", b"=", b"x=y", b"Token=a", b"token[]=a", many):
        log.add(body, target.send(to, body, kind=FORM), 400)
    for body in (b"token", b"token=", b"token=%00", b"token=a%00b", b"token=" + b"a" * 1_000_000):
        log.add(body, target.send(to, body, kind=FORM), 200)
    for body in (b"token=%ed%a0%80", b"token=%ff", b"token=%zz", b"token=\xff", b"token=a&token=b",
                 b"token=%e2%80%ae", b"token=+"):  # fmt: skip
        log.add(body, target.send(to, body, kind=FORM), 200, 400)

    assert log.wrong == []
    assert target.made() == target.before


def test_a_field_that_is_there_twice_counts_once_and_a_stranger_to_the_call_not_at_all(
    target: Target,
) -> None:
    twice = b'{"username": "alice", "username": "nobody", "password": "%s"}' % PASSWORD.encode()
    assert target.send(CALLS[3], twice).short == (401, "invalid_credentials")

    more = {"is_staff": True, "is_superuser": True, "id": 1, "groups": ["x"], "email": "m@x.org",
            "password": "x", "username": "root", "is_active": False}  # fmt: skip
    answer = target.send(CALLS[-1], more)

    assert (answer.status, answer.json) == (200, target.before[-1])
    assert target.made() == target.before


@pytest.mark.parametrize(
    "password",
    ["\u202e" * 12, "\x1b[2J" * 4, "a\r\nBcc: mallory@example.org", "{" * 1024, "[" * 1024,
     "\U0010ffff" * 12, "\ufdfa" * 1024, " " * 12, "\u0301" * 1024],
)  # fmt: skip
def test_an_odd_password_is_taken_or_refused_and_no_fault(target: Target, password: str) -> None:
    name = f"odd{len(password)}x{ord(password[0])}"
    body = {"username": name, "email": f"{name}@example.org", "password": password}

    assert target.send(CALLS[0], body).status in {201, 400}
    # Right or wrong: it waits for its confirmation, if it's there at all.
    assert target.send(CALLS[3], {"username": name, "password": password}).status == 401
