"""Malformed and hostile JSON bodies: no server error and no partial change."""

import json
from typing import Any

from tests.support.api_input import (
    BIDI,
    CALLS,
    FORM,
    LIMIT,
    LOGIN,
    LONG,
    PROFILE,
    REVOCATION,
    Call,
    Target,
    check,
)
from tests.support.steps import PASSWORD

ANSWERED = {"email/resend/", "token/revoke/"}

NO_STRINGS: tuple[Any, ...] = (None, True, 0, -1, 1.5, 2**63, 10**400, [], ["a"], {}, {"$ne": ""})
# No field accepts these: they are not valid Unicode text, or too long.
NO_TEXTS = ("\0", "a\0b", "\ud800", "\udc00\ud800", "a" * LONG, "\ud83d" * 300)
ODD_TEXTS = (
    *("", " ", "\t\r\n", BIDI, "\u200b", "\ufffe", "\U0010ffff", "\ufdfa" * 9_000, "' OR 1=1 --"),
    *("a\r\nBcc: mallory@example.org", "\u0661\u0662\u0663\u0664\u0665\u0666", "{{ 7*7 }}"),
    *("../../etc/passwd", "%00", "%s%n", "erin@", f"{'a' * 64}@{'b' * 300}.org", "erin@[::1]"),
)


def raw_bodies(fields: dict[str, Any]) -> list[bytes]:
    """Return bodies that are no JSON object or have an impossible value in the first field."""
    whole, name = json.dumps(fields).encode(), next(iter(fields)).encode()
    odd = [b"null", b"true", b"0", b'""', b"[]", b'["a"]', b"1e999", b"NaN", b"\0", b"\xff\xfe"]
    odd += [b"\xed\xa0\x80", b"{", whole[:-1], whole + b"}", whole * 2, b"\xef\xbb\xbf" + whole]
    odd += [whole.decode().encode("utf-16"), b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b"// a\n{}"]
    odd += [b'"\xc0\xaf"', b"a=b", b"<a/>", b"9" * LONG, b'"' + b"a" * (LIMIT - 2) + b'"']
    values = [b"NaN", b"Infinity", b"1e999", b"9" * 4000, b"9" * 5000, b'"\xff"', b'"\n"']
    values += [b'"\\ud800\\ud800"', b'"\\x00"', b"1" + b"0" * LONG]
    odd += [b'{"%s": %s}' % (name, value) for value in values]
    return [*odd, b"{" + b", ".join([b'"%s": 1' % name] * 2_000) + b"}"]


def test_no_field_value_causes_a_server_error_or_a_partial_change(target: Target) -> None:
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


def test_no_body_causes_a_server_error_or_a_partial_change(target: Target) -> None:
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


def test_an_unknown_field_is_named_in_the_error(target: Target) -> None:
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


def test_a_body_that_is_not_json_is_415_and_its_charset_is_ignored(target: Target) -> None:
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


def test_malformed_forms_revoke_nothing_and_cause_no_server_error(target: Target) -> None:
    many = b"&".join(b"f%d=" % i for i in range(300))
    for body in (b"", b"&&&", b"=", b"x=y", b"Token=a", b"token[]=a", many):
        check(body, target.send(REVOCATION, body, kind=FORM), 400)
    for body in (b"token", b"token=", b"token=%00", b"token=a%00b", b"token=" + b"a" * LONG):
        check(body, target.send(REVOCATION, body, kind=FORM), 200)
    for body in (b"token=%ed%a0%80", b"token=%zz", b"token=\xff", b"token=a&token=b", b"token=+"):
        check(body, target.send(REVOCATION, body, kind=FORM), 200, 400)
