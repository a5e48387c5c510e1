"""Tokens that a key of ours has signed, and that are no access tokens of this site all the same:
of another kind, for another service, from another site, too old, too long, out of shape."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.kernel import secrets
from tests.conftest import Clock
from tests.support.api_jwt import (
    ME,
    REFUSED,
    TOKEN,
    VERIFY,
    Json,
    Mint,
    b64,
    basic,
    by_key,
    call,
    get_tokens,
    join,
    mint_with,
    refused,
    shown,
    taken,
    text_of,
)
from tests.support.steps import PASSWORD, make_user

pytestmark = pytest.mark.django_db

OTHER = "https://billing.example"
# What no claim of ours is, whichever it is.
NEVER: tuple[Any, ...] = (
    *(None, True, False, [], {}, 1.5, -1.5, "", " ", "\0", "\ud800", "0", "\u0660", "NaN", "1e9"),
    *([1], ["a"], {"a": 1}, [[]], float("nan"), float("inf"), 10**300, -(10**300)),
)


@pytest.fixture
def mint(clock: Clock) -> Mint:
    return mint_with("ES256")


def with_claims(mint: Mint, **claims: Any) -> str:
    """The good token with these; ``None`` stays in, as null."""
    return join(mint.header, mint.claims | claims, mint.sign)


HEADERS: dict[str, Json] = {
    **{f"typ {typ!r}": {"typ": typ} for typ in (
        "JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "rt+jwt", "id+jwt", "", "JOSE",
        "logout+jwt", "secevent+jwt", ["at+jwt"], 1, None)},
    "no kid": {"kid": None},
    "b64": {"b64": True},
    "b64 false": {"b64": False},
    "8 KB": {"x": "a" * 8192},
    "zip": {"zip": "DEF"},
    "nested": {"cty": "JWT"},
    "encrypted": {"enc": "A256GCM"},
    "more": {"x": 1},
    "claims in the header": {"iss": "https://evil.example", "sub": "bob"},
}  # fmt: skip


CRITICAL: dict[str, Json] = {
    **{f"crit {crit!r}": {"crit": crit} for crit in (
        ["x"], ["exp"], ["b64"], ["alg"], [], "exp", [1], {}, ["x", "x"], 0)},
    "crit and its member": {"crit": ["x"], "x": True},
    "b64 false, critical": {"b64": False, "crit": ["b64"]},
}  # fmt: skip


def test_cve_2026_32597_an_unknown_crit_is_refused_though_we_signed_it(mint: Mint) -> None:
    assert taken({name: mint.token(header) for name, header in CRITICAL.items()}) == []


def test_a_header_that_is_not_exactly_ours_is_refused_though_we_signed_it(mint: Mint) -> None:
    tokens = {name: mint.token(header) for name, header in HEADERS.items()}
    header = text_of(mint.header)
    assert isinstance(header, str)
    odd = ["[]", "null", "1", '""', "{}", "", "\0", header[:-1], f"{header}x", f"[{header}]",
           '{"a":' * 700 + "1" + "}" * 700, "[" * 3000]  # fmt: skip
    tokens |= {text[:60]: join(text, mint.claims, mint.sign) for text in odd}

    assert taken(tokens) == []


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_another_algorithm_of_the_same_key_is_refused(alg: str) -> None:
    mint = mint_with("RS256")
    sign = by_key(mint.key, alg)

    assert taken({
        "said": join(mint.header | {"alg": alg}, mint.claims, sign),
        "not said": join(mint.header, mint.claims, sign),
        "said only": join(mint.header | {"alg": alg}, mint.claims, mint.sign),
    }) == []  # fmt: skip


@pytest.mark.parametrize(
    "claim",
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "scope", "auth_time", "client_id",
     "token_type"],
)  # fmt: skip
def test_a_claim_that_is_missing_or_of_another_type_is_refused(mint: Mint, claim: str) -> None:
    texts = {"jti", "scope", "client_id"}
    odd = [v for v in NEVER if not (claim in texts and isinstance(v, str) and v != "\ud800")]
    good = mint.claims[claim]
    odd += [[good], {"": good}, str(good) if isinstance(good, int) else 1]
    if isinstance(good, int):
        # Negative ones are of the type: what they say is judged below.
        odd = [value for value in odd if value != -(10**300)] + [float(good), good + 0.5]
    tokens = {f"{value!r:.40}": with_claims(mint, **{claim: value}) for value in odd}
    tokens["missing"] = mint.token(**{claim: None})

    assert taken(tokens) == []


def test_cve_2024_53861_an_issuer_is_compared_as_a_whole(mint: Mint, settings: Any) -> None:
    origin = settings.AUTHSITE.origin
    assert mint.claims["iss"] == origin
    issuers = [origin[:-1], origin[:4], origin[1:], f"{origin}/", f"{origin}.evil.example",
               f"{origin}@evil.example", f"{origin}#", f" {origin}", origin.upper(), origin * 2,
               origin.replace("http:", "https:"), OTHER, [origin], [origin, OTHER],
               {origin: 1}]  # fmt: skip

    assert taken({f"{iss}": mint.token(iss=iss) for iss in issuers}) == []


def test_an_audience_is_compared_as_a_whole(mint: Mint, settings: Any) -> None:
    origin = settings.AUTHSITE.origin
    assert mint.claims["aud"] == origin
    audiences = [origin[:-1], f"{origin}/", f"{origin}.evil.example", origin.upper(), OTHER, "*",
                 [origin], [origin, OTHER], [OTHER], {origin: 1}, f"{origin} {OTHER}",
                 f"{origin}/api/v1/"]  # fmt: skip

    assert taken({f"{aud}": mint.token(aud=aud) for aud in audiences}) == []


def test_a_token_for_another_service_is_useless_here_but_can_be_looked_up(settings: Any) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, token_audiences=(OTHER,))
    mint = mint_with("ES256")
    browser = Client()
    token = get_tokens(browser, "alice", PASSWORD, audience=OTHER)["access"]

    answers = shown(browser, token)

    assert [a.short for a in (*answers[:3], answers[4])] == [REFUSED] * 4
    assert answers[3].json["aud"] == OTHER
    assert refused(browser, mint.token(aud=f"{OTHER}/"))
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, token_audiences=())
    assert refused(browser, token)


def test_a_token_is_good_from_its_begin_to_its_end_and_not_a_second_longer(
    mint: Mint, clock: Clock
) -> None:
    now, token = mint.claims["iat"], mint.token()
    clock.advance(seconds=mint.claims["exp"] - clock.now().timestamp() - 1)
    assert not refused(Client(), token)
    clock.advance(seconds=1)
    assert refused(Client(), token)

    # The clocks of two nodes may be ten seconds apart; nothing begins later than that.
    now = int(clock.now().timestamp())
    fresh: Callable[..., str] = lambda **more: mint.token(**{"exp": now + 300, **more})  # noqa: E731
    assert not refused(Client(), fresh(iat=now, nbf=now))
    assert taken({
        "iat": fresh(iat=now + 12),
        "nbf": fresh(iat=now, nbf=now + 12),
        "both": fresh(iat=now + 290, nbf=now + 290),
        "far": fresh(iat=now, nbf=10**300),
        "auth_time": fresh(iat=now, nbf=now, auth_time=now + 12),
    }) == []  # fmt: skip


@pytest.mark.parametrize("exp", [0, 1, -1, -(10**18), -(10**300), 10**10, 10**18, 2**63, 10**300])
def test_no_token_ends_before_the_site_was_or_lives_for_ever(mint: Mint, exp: int) -> None:
    assert refused(Client(), mint.token(exp=exp))


def test_no_token_lives_longer_than_its_key_is_kept_for_it(mint: Mint) -> None:
    now = mint.claims["iat"]

    assert not refused(Client(), mint.token(exp=now + 3600))
    assert refused(Client(), mint.token(exp=now + 3601))


@pytest.mark.parametrize(
    "kind", ["refresh", "id", "ID", "sliding", "Access", "access ", "challenge", "rt", "bearer"]
)
def test_what_our_key_signs_for_another_purpose_is_no_access_token(mint: Mint, kind: str) -> None:
    person = {name: mint.claims[name] for name in ("iss", "sub", "aud", "exp", "iat")}
    id_token = join(mint.header, person | {"nonce": "n", "at_hash": "a"}, mint.sign)

    assert taken({"kind": mint.token(token_type=kind), "id token": id_token}) == []


def test_a_refresh_token_is_no_access_token(mint: Mint) -> None:
    refresh = get_tokens(Client(), "alice", PASSWORD)["refresh"]

    answers = shown(Client(), refresh)

    assert {answer.status for answer in answers[:4]} == {401}
    assert answers[3].short == REFUSED


def test_payloads_that_are_no_claims_are_refused_though_we_signed_them(mint: Mint) -> None:
    whole = text_of(mint.claims)
    assert isinstance(whole, str)
    deep = f'{whole[:-1]},"x":'
    payloads: list[str | bytes] = [
        *("", "null", "[]", "1", '"a"', "NaN", "{", whole[:-1], f"{whole},", f"[{whole}]", "\0"),
        *(b"\xff\xfe", whole.encode("utf-16"), b"\xef\xbb\xbf" + whole.encode(), b"\xed\xa0\x80"),
        *(f"{deep}NaN}}", f"{deep}-Infinity}}", f"{deep}1e999}}", f'{deep}"\\ud800"}}'),
        *(f"{deep}{'9' * 5000}}}", "[" * 5900, f"{deep}{'[' * 5000}}}", f'{{"exp":{"9" * 5000}}}'),
        mint.token(),
        mint.token({"cty": "JWT"}),
    ]

    tokens = {f"{p[:20]!r} {i}": join(mint.header, p, mint.sign) for i, p in enumerate(payloads)}
    nested = {"cty": join(mint.header | {"cty": "JWT"}, mint.token(), mint.sign)}

    assert taken(tokens | nested) == []


@pytest.mark.parametrize("depth", [100, 500, 1000, 2000, 2500])
def test_a_deep_payload_that_we_signed_is_no_fault(mint: Mint, depth: int) -> None:
    deep = f'{json.dumps(mint.claims)[:-1]},"x":{"[" * depth}{"]" * depth}}}'

    statuses = {answer.status for answer in shown(Client(), join(mint.header, deep, mint.sign))}

    assert statuses <= {200, 401}


def test_a_claim_that_is_there_twice_is_read_one_way_by_all_calls(mint: Mint) -> None:
    bob = make_user("bob")
    twice = f'{{"sub":"{bob.pk}",{json.dumps(mint.claims)[1:]}'
    token = join(mint.header, twice, mint.sign)

    me, _, _, verified, _ = shown(Client(), token)

    assert me.json["id"] == verified.json["sub"] == mint.claims["sub"]
    bobs = f'{json.dumps(mint.claims)[:-1]},"sub":"{bob.pk}"}}'
    assert refused(Client(), join(mint.header, bobs, mint.sign))


def test_a_flood_of_unknown_kids_costs_one_look_in_five_seconds(mint: Mint, clock: Clock) -> None:
    def flood() -> int:
        with CaptureQueriesContext(connection) as queries:
            for _ in range(50):
                header = mint.header | {"kid": b64(secrets.raw(32))}
                token = join(header, mint.claims, mint.sign)
                assert call(Client(), ME, authorization=f"Bearer {token}").short == REFUSED
        return len(queries)

    assert flood() <= 1
    assert flood() == 0
    clock.advance(seconds=6)
    assert flood() <= 1


def test_nothing_longer_than_any_token_is_looked_at(mint: Mint) -> None:
    for size in (8193, 100_000, 1_000_000):
        long = f"{mint.token()}{'A' * size}"
        with CaptureQueriesContext(connection) as queries:
            assert call(Client(), ME, authorization=f"Bearer {long}").short == REFUSED
            assert call(Client(), ME, authorization=basic(long)).short == REFUSED
            assert call(Client(), TOKEN, {}, authorization=basic(long)).short == REFUSED
            assert call(Client(), VERIFY, {"token": long}).short == REFUSED
        assert len(queries) == 0
