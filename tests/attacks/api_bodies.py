"""What no client should send to the API, and what every answer must look like all the same."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.attacks.test_timing import member
from tests.support.api_jwt import API, ME, Answer, call, get_tokens
from tests.support.site import Site
from tests.support.steps import PASSWORD, WRONG, sql

MEGABYTE = 1_000_000
BIDI = "\u202eecila"


@dataclass(frozen=True)
class Call:
    """One call and its fields, each of its type; with them it's refused, or changes nothing."""

    path: str
    fields: dict[str, Any]
    method: str = "POST"
    is_open: bool = True
    takes_forms: bool = False
    # What it answers to no field at all.
    empty: int = 400
    # Besides 400, to what is no token.
    no_token: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


TABLES = ("user", "pendingsignup", "username", "address", "loginsession", "tokenchallenge",
          "outgoingmail")  # fmt: skip
WISH = {"audience": "https://nowhere.example", "scope": "everything"}
CALLS = (
    Call("users/", {"username": "erin", "email": "erin@", "password": "too short"}),
    Call("email/verify/", {"email": "erin@example.org", "code": "ZZZZ9999"}),
    Call("email/resend/", {"email": "erin@example.org"}),
    Call("token/", {"username": "erin", "email": "erin@example.org", "password": WRONG, **WISH}),
    Call("token/challenge/", {"challenge": "none", "code": "123456", "method": "smoke"}),
    Call("token/refresh/", {"refresh": "none", **WISH}, no_token=(401,)),
    Call("token/verify/", {"token": "none"}, no_token=(401,)),
    Call("token/revoke/", {"token": "none"}, takes_forms=True, no_token=(200,)),
    Call(
        "me/",
        {"display_name": BIDI, "about": BIDI, "language": "xx", "time_zone": "Mars/Base"},
        method="PATCH",
        is_open=False,
        empty=200,
    ),
)

# In place of a string.
NO_STRINGS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 2**31, 2**63, 2**64, 10**400, -(10**400)),
    *([], {}, [[]], [None], ["a"], ["a", "b"], {"a": 1}, {"$ne": ""}, {"": {}}, [{}]),
)
# Strings that no field takes: what isn't text, and what's too long for all of them.
NO_TEXTS = ("\0", "a\0b", "\ud800", "a\udfffb", "\udc00\ud800", "a" * MEGABYTE, "\ud83d" * 300)
# Strings that may be wrong, and must not be a fault.
ODD_TEXTS = (
    *("", " ", "\n", "\t\r\n", "\x1b[2J", BIDI, "\u200b", "\ufeff", "\ufffe", "\U0010ffff"),
    *("a\r\nBcc: mallory@example.org", "\u0661\u0662\u0663\u0664\u0665\u0666", "\ufdfa" * 20_000),
    *("' OR 1=1 --", "{{ 7*7 }}", "${jndi:ldap://x}", "../../etc/passwd", "%00", "%s%n", "=1+1"),
    *("erin@", "@example.org", "a@b@c", f"{'a' * 64}@{'b' * 300}.org", "erin@xn--a.org", "a:b"),
    *("erin@[::1]", '"erin"@example.org', "erin@example.org\0", "null", "NaN", "undefined"),
)


def raw_bodies(fields: dict[str, Any]) -> list[bytes]:
    """Bodies that are no object of JSON; or objects, and nothing that a field could be."""
    whole = json.dumps(fields).encode()
    name = next(iter(fields))
    odd = [b"null", b"true", b"0", b'""', b"[]", b"[[]]", b'["a"]', b"1e999", b"NaN", b"-Infinity"]
    odd += [b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"{", b"}", whole[:-1], whole + b"}", whole * 2]
    odd += [b"\xef\xbb\xbf" + whole, whole.decode().encode("utf-16"), b"'{}'", b"{'a': 1}"]
    odd += [b"{a: 1}", b'{"a": 1,}', b"// a\n{}", b'{"a": 01}', b'"\xc0\xaf"', b"a=b", b"<a/>"]
    odd += [b'"' + b"a" * MEGABYTE + b'"', b"[" * MEGABYTE, b'{"a":' * 100_000, b"9" * MEGABYTE]
    for value in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 4000, b"9" * 5000,
                  b"[" * 5000 + b"]" * 5000, b'{"a":' * 9000 + b"1" + b"}" * 9000, b'"\xff"',
                  b'"\\ud800\\ud800"', b'"\\x00"', b'"\n"', b"1" + b"0" * MEGABYTE):  # fmt: skip
        odd.append(b'{"' + name.encode() + b'": ' + value + b"}")
    odd.append(b"{" + b", ".join([b'"' + name.encode() + b'": 1'] * 10_000) + b"}")
    return odd


def deep_bodies(name: str) -> list[bytes]:
    """Lists and objects in each other, up to where a parser gives up, as a field's value."""
    pairs = ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}"), (b'{"":[', b"", b"]}"))
    head = b'{"' + name.encode() + b'": '
    return [
        head + opened * depth + inner + closed * depth + b"}"
        for opened, inner, closed in pairs
        for depth in (1000, 1999, 2000, 4000, 6000, 8000, 9000, 9900, 9990, 50_000)
    ]


@dataclass
class Log:
    """What was answered otherwise than it should be."""

    wrong: list[str] = field(default_factory=list)

    def add(self, sent: Any, answer: Answer, *statuses: int) -> None:
        """Note ``answer`` unless its status is one of ``statuses`` and it's in shape."""
        if answer.status not in statuses or not is_in_shape(answer):
            self.wrong.append(f"{sent!r:.100} {answer.status} {answer.body[:100]!r}")


def is_in_shape(answer: Answer) -> bool:
    """Whether an error is told as the contract has it, with the headers of its status."""
    if answer.status < 400:
        return True
    needs = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
    needed = needs.get(answer.status)
    is_json = answer.headers["Content-Type"] == "application/json"
    if not is_json or (needed and not answer.headers.get(needed)):
        return False
    told = answer.json
    if "detail" in told:
        return bool(told["code"]) and all(isinstance(told[n], str) for n in ("detail", "code"))
    return answer.status == 400 and all(
        texts and isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        for texts in told.values()
    )


def url(path: str) -> str:
    """Where a call is."""
    return f"{API}{path}"


class Target:
    """A site with one member, and the calls that are made there."""

    def __init__(self, site: Site) -> None:
        self.site, self.client = site, site.client()
        member(site, "alice")
        self.token = get_tokens(self.client, "alice", PASSWORD)["access"]
        site.wait_for_mail(to="alice")
        self.before = self.made()

    def send(self, to: Call, body: Any, **more: Any) -> Answer:
        """One call, by alice's token where it needs one."""
        if not to.is_open:
            more.setdefault("authorization", f"Bearer {self.token}")
        return call(self.client, url(to.path), body, method=to.method, **more)

    def made(self) -> list[Any]:
        """How many rows there are, and what is told of alice."""
        counts = [sql(self.site, f"SELECT count(*) FROM accounts_{t}")[0][0] for t in TABLES]  # noqa: S608
        return [*counts, call(self.client, ME, authorization=f"Bearer {self.token}").json]
