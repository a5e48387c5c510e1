"""Tokens that the site's key has signed but that are no valid access tokens of this site.

They are of another kind, for another service, expired, too long, malformed or without a valid user.
"""

import dataclasses
import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.sessions.models import LoginSession
from accounts.users.models import PendingSignup, User
from tests.support.api import call, exchange, get_tokens, is_good, renew
from tests.support.api_jwt import REFUSED, accepted, answers_to, is_refused
from tests.support.forgeries import Json, join, mint_of, mint_with
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import make_user, sign_up
from tests.support.wsgi import Program

OTHER = "https://billing.example"
# No claim of the site's tokens has any of these values.
NEVER: tuple[Any, ...] = (
    *(None, True, False, [], {}, 1.5, "", "\0", "\ud800", "\u0660", "NaN", ["a"], {"a": 1}),
    *(float("nan"), float("inf"), 10**300, -(10**300)),
)


@pytest.fixture
def mint(clock):
    return mint_with("ES256")


HEADERS: list[Json] = [
    *({"crit": crit} for crit in (["x"], ["exp"], ["b64"], [], "exp", [1], 0)),
    {"crit": ["x"], "x": True},
    {"crit": ["b64"], "b64": False},
    *({"typ": typ} for typ in ("JWT", "AT+JWT", "application/at+jwt", "id+jwt", "", [], 1, None)),
    *({"kid": kid} for kid in (None, "", "../../../../dev/null", "' OR 1=1 --", "a\0b", "a" * 43)),
    *({"kid": kid} for kid in ("\u0661" * 43, "\ud800", "a" * 5000, 0, 10**300, [], {}, [[]])),
    *({"b64": True}, {"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"}, {"x": 1}),
    {"x": "a" * 8192},
    {"iss": "https://evil.example", "sub": "bob"},
]


def test_cve_2026_32597_a_signed_token_with_an_unexpected_header_is_refused(mint):
    """Withstands a forger."""
    tokens = {f"{header!r:.60}": mint.token(header) for header in HEADERS}
    header = json.dumps(mint.header)
    odd = ["[]", "null", "1", '""', "{}", "", "\0", header[:-1], f"{header}x", f"[{header}]",
           '{"a":' * 700 + "1" + "}" * 700, "[" * 3000]  # fmt: skip
    tokens |= {text[:60]: join(text, mint.claims, mint.sign) for text in odd}

    assert accepted(tokens) == []


@proves("V15.3.5")
def test_a_missing_claim_or_one_of_another_type_is_refused(mint):
    """Withstands a forger."""
    tokens = {}
    for claim in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "scope", "auth_time",
                  "client_id", "token_type"):  # fmt: skip
        good = mint.claims[claim]
        odd = [*NEVER, [good], {"": good}]
        if claim in {"jti", "scope", "client_id"}:
            odd = [value for value in odd if not isinstance(value, str) or value == "\ud800"]
        if isinstance(good, int):
            # A negative number has the right type; another test checks its meaning.
            odd = [*odd[: odd.index(-(10**300))], str(good), float(good), good + 0.5]
        for value in odd:
            claims = mint.claims | {claim: value}
            tokens[f"{claim} {value!r:.40}"] = join(mint.header, claims, mint.sign)
        tokens[f"{claim} missing"] = mint.token(**{claim: None})
    for value in (None, "1", [1], 1.5, True, "\ud800"):
        claims = mint.claims | {"orig_iat": value}
        tokens[f"orig_iat {value!r}"] = join(mint.header, claims, mint.sign)

    assert accepted(tokens) == []


@proves("V9.2.3")
def test_cve_2024_53861_issuer_and_audience_are_compared_as_a_whole(mint, settings):
    """Withstands a forger."""
    origin = settings.AUTHSITE.origin
    assert mint.claims["iss"] == mint.claims["aud"] == origin
    others = [
        *(origin[:-1], origin[1:], f"{origin}/", f"{origin}.evil.example", f"{origin}#", "*"),
        *(f"{origin}@evil.example", f" {origin}", origin.upper(), f"{origin} {OTHER}", OTHER),
        *(origin.replace("http:", "https:"), [origin], [origin, OTHER], {origin: 1}),
    ]

    for claim in ("iss", "aud"):
        assert accepted({f"{other}": mint.token(**{claim: other}) for other in others}) == []


@proves("V9.2.3", "V10.3.1")
def test_a_token_for_another_service_is_refused_here_but_can_be_verified(settings):
    before = settings.AUTHSITE
    settings.AUTHSITE = dataclasses.replace(before, token_audiences=(OTHER,))
    mint = mint_with("ES256")
    tokens = get_tokens(audience=OTHER)

    for bought in (tokens, renew(tokens["refresh"], audience=OTHER)):
        *answers, verified, renewed = answers_to(Program(), bought["access"])
        assert [answer.short for answer in (*answers, renewed)] == [REFUSED] * 4
        assert verified.body["aud"] == OTHER
    assert is_refused(mint.token(aud=f"{OTHER}/"))
    for_there = bought["access"]
    assert not is_good(for_there)
    assert exchange(for_there).code == "token_not_valid"
    settings.AUTHSITE = before
    assert is_refused(for_there)


@proves("V9.2.1")
def test_1_4_a_token_is_valid_for_exactly_300_seconds(mint, clock):
    """Withstands a thief with a token."""
    now, token = mint.claims["iat"], mint.token()
    assert mint.claims["exp"] == now + get_tokens()["expires_in"] == now + 300
    clock.advance(seconds=now + 300 - clock.now().timestamp() - 0.001)
    assert not is_refused(token)
    clock.advance(seconds=0.001)
    assert is_refused(token)

    # The clocks of two nodes may differ by ten seconds, but no more.
    now = int(clock.now().timestamp())
    begun = {"iat": now, "nbf": now, "exp": now + 300}
    assert not is_refused(mint.token(**begun))
    for late in ({"iat": now + 12}, {"nbf": now + 12}, {"nbf": 10**300}, {"auth_time": now + 12},
                 {"iat": now + 290, "nbf": now + 290}):  # fmt: skip
        assert is_refused(mint.token(**begun | late)), late


def test_only_a_genuine_expired_token_gets_the_answer_to_refresh(mint, clock, settings):
    """Withstands an accident.

    The sender of a forged token does not learn that it has expired, too.
    """
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, token_audiences=(OTHER,))
    clock.advance(seconds=300)
    token = mint.token()

    for answer in answers_to(Program(), token)[:2]:
        assert answer.short == (401, "token_expired")
        assert "expired" in answer.headers["WWW-Authenticate"]
    forged = [mint.token(aud=OTHER), mint.token(iss=OTHER), mint.token(token_type="refresh")]
    for other in (*forged, f"{token[:-4]}AAAA"):
        assert [answer.short for answer in answers_to(Program(), other)] == [REFUSED] * 5


def test_no_token_may_outlive_its_signing_key(mint):
    """Withstands a forger."""
    now = mint.claims["iat"]
    ends = (0, 1, -1, -(10**300), now + 3601, 10**10, 2**63, 10**300)

    assert not is_refused(mint.token(exp=now + 3600))
    assert accepted({f"{end}"[:40]: mint.token(exp=end) for end in ends}) == []


@proves("V9.2.2")
def test_a_token_signed_for_another_purpose_is_no_access_token(mint):
    """Withstands a forger."""
    kinds = ("refresh", "id", "sliding", "Access", "access ", "challenge", "bearer")
    person = {name: mint.claims[name] for name in ("iss", "sub", "aud", "exp", "iat")}
    id_token = join(mint.header, person | {"nonce": "n", "at_hash": "a"}, mint.sign)

    assert accepted({kind: mint.token(token_type=kind) for kind in kinds} | {"ID": id_token}) == []
    *answers, verified, _renewed = answers_to(Program(), get_tokens()["refresh"])
    assert {answer.status for answer in answers} == {401}
    assert verified.short == REFUSED


def test_a_signed_payload_that_is_no_claims_object_is_refused(mint):
    whole = json.dumps(mint.claims)
    deep = f'{whole[:-1]},"x":'
    payloads: list[str | bytes] = [
        *("", "null", "[]", "1", '"a"', "NaN", "{", whole[:-1], f"{whole},", f"[{whole}]", "\0"),
        *(b"\xff\xfe", whole.encode("utf-16"), b"\xef\xbb\xbf" + whole.encode(), b"\xed\xa0\x80"),
        *(f"{deep}NaN}}", f"{deep}-Infinity}}", f"{deep}1e999}}", f'{deep}"\\ud800"}}'),
        *(f"{deep}{'9' * 5000}}}", "[" * 5900, f"{deep}{'[' * 5000}}}", f'{{"exp":{"9" * 5000}}}'),
        mint.token(),
    ]
    tokens = {f"{p[:20]!r} {i}": join(mint.header, p, mint.sign) for i, p in enumerate(payloads)}
    nested = join(mint.header | {"cty": "JWT"}, mint.token(), mint.sign)

    assert accepted(tokens | {"nested": nested}) == []
    for depth in (100, 500, 1000, 2000, 2500):
        payload = f"{deep}{'[' * depth}{']' * depth}}}"
        answers = answers_to(Program(), join(mint.header, payload, mint.sign))
        assert {answer.status for answer in answers} <= {200, 401}, depth


def test_a_text_longer_than_any_token_is_refused_without_a_query(mint):
    for size in (8193, 50_000):
        long = f"{mint.token()}{'A' * size}"
        with CaptureQueriesContext(connection) as queries:
            answers = answers_to(Program(), long)
        assert [answer.short for answer in answers[:4]] == [REFUSED] * 4
        assert len(queries) == 0


def ids(good):
    """Return values other than the id ``good``; a lenient parser reads some as the same id."""
    bare = good.replace("-", "")
    arabic = good.translate({ord(str(i)): chr(0x660 + i) for i in range(10)})
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in good)
    return [
        *NEVER,
        *(0, 1, -1, 2**63, " ", "0", "-1", "9" * 40, [good], {"id": good}, good[:-1], good[::-1]),
        *("a" * 5000, f"{good}\0", f" {good}", f"{good}\n", f"{good}0", arabic, wide, good.upper()),
        *(f"urn:uuid:{good}", f"{{{good}}}", bare, str(int(bare, 16)), "alice", "' OR 1=1 --"),
    ]


@proves("V10.3.3")
def test_a_malformed_subject_or_session_id_is_refused_without_a_query(mint):
    """Withstands a forger.

    Without a query, no database can fail on the value.
    """
    for claim in ("sub", "sid"):
        tokens = {
            f"{value!r:.50} {i}": join(mint.header, mint.claims | {claim: value}, mint.sign)
            for i, value in enumerate(ids(mint.claims[claim]))
        }
        with CaptureQueriesContext(connection) as queries:
            assert accepted(tokens) == []
        assert [query["sql"] for query in queries] == []
        unknown = ["00000000-0000-0000-0000-000000000000", str(uuid.uuid4())]
        assert accepted({other: mint.token(**{claim: other}) for other in unknown}) == []


def test_a_token_needs_its_own_users_session_and_not_a_pending_sign_up(mint):
    make_user("bob")
    sign_up(Client(), "pending")
    bobs, pending = mint_of(get_tokens("bob")["access"], mint.key), PendingSignup.objects.get().pk
    sub, sid = mint.claims["sub"], mint.claims["sid"]

    assert accepted({
        "alice in bob's": mint.token(sid=bobs.claims["sid"]),
        "bob in alice's": bobs.token(sid=sid),
        "subject as sign-in": mint.token(sid=sub),
        "sign-in as subject": mint.token(sub=sid),
        "pending subject": mint.token(sub=str(pending)),
        "pending sign-in": mint.token(sid=str(pending)),
        "pending both": mint.token(sub=str(pending), sid=str(pending)),
    }) == []  # fmt: skip


def test_a_browser_session_is_refused_as_the_session_of_a_token(mint):
    browser = signed_in(User.objects.get())
    session = LoginSession.objects.get(kind=LoginSession.Kind.BROWSER)
    token = mint.token(sid=str(session.pk))

    assert is_refused(token)
    assert call("token/revoke/", {"token": token}).status == 200
    assert browser.get("/").status_code == 200, "the session is not revoked"


@proves("V10.3.2")
def test_an_unknown_scope_gives_no_rights(mint):
    """An unknown scope is valid, because another service may define its own."""
    for scope in ("", " ", "admin", "READ", "read:profile", "profile", "profile:", ":read", "*",
                  "profile:read:write", "\0", "read\0", "\u202eread"):  # fmt: skip
        answer = call("me/", token=mint.token(scope=scope))
        assert (answer.status, answer.code) == (403, "insufficient_scope"), scope
