"""Forged ID tokens, userinfo answers and issuers: any wrong part refuses the sign-in."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.forgeries import encoded
from tests.support.id_tokens import Json, assert_refused, forge, signed_by
from tests.support.openid_provider import CLIENT_ID, OpenIDProvider, send
from tests.support.social import come_back, go, round_trip

pytestmark = pytest.mark.django_db

NOW = int(time.time())
DEEP = "[" * 200_000


# A function changes the right value; None removes the claim.
CLAIMS: dict[str, Json] = {
    "nonce missing": {"nonce": None},
    "nonce of another": {"nonce": lambda right: right[::-1]},
    "nonce in a list": {"nonce": lambda right: [right]},
    "nonce of other letters": {"nonce": "\ud800é"},
    "iss missing": {"iss": None},
    "iss of another": {"iss": "https://mallory.example"},
    "iss with a slash": {"iss": lambda right: right + "/"},
    "iss in a list": {"iss": lambda right: [right]},
    "aud missing": {"aud": None},
    "aud of another": {"aud": "other"},
    "aud in words": {"aud": f"other {CLIENT_ID}"},
    "aud of several": {"aud": [CLIENT_ID, "other"]},
    "aud of several, azp another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "azp another": {"azp": "other"},
    "azp in a list": {"azp": [CLIENT_ID]},
    "exp missing": {"exp": None},
    "exp past": {"exp": NOW - 120},
    "exp true": {"exp": True},
    "exp a word": {"exp": "tomorrow"},
    "exp infinite": {"exp": float("inf")},
    "iat missing": {"iat": None},
    "iat to come": {"iat": NOW + 3600},
    "nbf to come": {"nbf": NOW + 3600},
    "sub missing": {"sub": None},
    "sub empty": {"sub": ""},
    "sub a number": {"sub": 1},
    "sub long": {"sub": "a" * 300},
    "sub with NUL": {"sub": "alice-1\0"},
    "sub half a character": {"sub": "\ud800"},
    "auth_time beyond all calendars": {"auth_time": 10**20},
}


@pytest.mark.parametrize("case", CLAIMS)
def test_10_2_an_id_token_with_a_wrong_claim_is_refused(op: OpenIDProvider, case: str) -> None:
    op.metadata = {"userinfo_endpoint": None}
    forge(op, {}, CLAIMS[case], signed_by())

    assert_refused(op)


WHOLE: dict[str, Callable[[str], Any]] = {
    "absent": lambda _good: None,
    "a list": lambda good: [good],
    "no token": lambda _good: "a.b.c",
    "two parts": lambda good: good.rpartition(".")[0],
    "other letters": lambda good: f"é{good}\0",
    "deep header": lambda good: f"{encoded(DEEP.encode())}.{good.partition('.')[2]}",
    "long": lambda good: good + "A" * 500_000,
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_malformed_id_token_is_refused(op: OpenIDProvider, case: str) -> None:
    made = op._id_token
    op._id_token = lambda grant: WHOLE[case](made(grant))

    assert_refused(op)


@pytest.mark.parametrize("payload", [DEEP, "[]", "null", "{", ""], ids=repr)
def test_signed_claims_that_are_not_an_object_are_refused(op: OpenIDProvider, payload: str) -> None:
    text = f"{encoded(b'{"alg": "ES256", "kid": "one"}')}.{encoded(payload.encode())}"
    token = f"{text}.{encoded(signed_by()(op, text.encode()))}"
    op._id_token = lambda _grant: token

    assert_refused(op)


@pytest.mark.parametrize("sub", ["bob-1", None, ["alice-1"], "ALICE-1"], ids=str)
def test_userinfo_of_another_subject_is_refused(op: OpenIDProvider, sub: Any) -> None:
    op.userinfo = {"sub": sub}

    assert_refused(op)


@pytest.mark.parametrize(
    "body",
    ["[]", "null", "", DEEP, '{"sub": "alice-1"'],
    ids=lambda body: body[:9],
)
def test_userinfo_that_is_not_an_object_is_refused(op: OpenIDProvider, body: str) -> None:
    op.instead["/userinfo"] = lambda request: send(request, body.encode())

    assert_refused(op)


@pytest.mark.parametrize("iss", [None, "https://mallory.example", "{}/"])
def test_rfc_9207_an_answer_from_another_issuer_is_refused_before_the_code_is_sent(
    op: OpenIDProvider, iss: str | None
) -> None:
    browser = Client()
    answer = op.answer(go(browser))
    answer["iss"] = "" if iss is None else iss.format(op.issuer)
    if iss is None:
        del answer["iss"]

    assert come_back(browser, answer).status_code == 400

    assert op.count("/token") == 0
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "change", [{}, {"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "o"], "azp": CLIENT_ID}], ids=str
)
def test_a_correctly_forged_id_token_is_accepted(op: OpenIDProvider, change: Json) -> None:
    """This shows that the other tests fail because of the changed part."""
    forge(op, {}, change, signed_by())

    assert round_trip(Client(), op).url == "/"
