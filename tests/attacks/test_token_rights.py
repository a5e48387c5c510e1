"""Tokens must gain no rights and no longer life by refreshes and exchanges."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.activity.models import Activity
from accounts.users.models import User
from tests.support.api import Answer, call, claims_of, exchange, get_tokens, is_good, renew
from tests.support.clock import Clock
from tests.support.second_factor import code_of, enrolled
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

LIFE = 300
SERVICE = "https://wiki.example"


@pytest.fixture
def person(settings: Any, clock: Clock) -> Answer:
    """The tokens of a program with the scope ``read profile:write``."""
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, token_audiences=(SERVICE,))
    make_user("alice")
    return get_tokens(scope="read profile:write")


def test_a_request_for_more_scope_is_refused_and_uses_up_no_token(
    person: Answer, clock: Clock
) -> None:
    for scope in ("write", "read write", "groups", "sessions:write", "read activity:write"):
        answers = [renew(person["refresh"], scope=scope), exchange(person["access"], scope=scope)]
        assert {(answer.status, answer.code) for answer in answers} == {(400, "invalid_scope")}

    assert is_good(person["access"])
    clock.advance(seconds=31)
    assert renew(person["refresh"]).status == 200, "the refresh token is not used up"


def test_an_unknown_scope_or_audience_is_refused_and_uses_up_no_token(
    person: Answer, clock: Clock
) -> None:
    scopes = [{"scope": scope} for scope in ("admin", "read admin", "READ", "", " ", "read\0")]
    services = ("https://wiki.example/", "https://wiki.example.evil", "", "*")
    for token_request in scopes + [{"audience": service} for service in services]:
        answers = [
            renew(person["refresh"], **token_request),
            exchange(person["access"], **token_request),
            get_tokens(**token_request),
        ]
        assert {answer.status for answer in answers} == {400}, token_request
        assert all(token_request.keys() <= answer.body.keys() for answer in answers), token_request

    clock.advance(seconds=31)
    assert renew(person["refresh"]).status == 200


def test_a_narrow_token_gets_no_wider_one_but_its_refresh_token_keeps_its_scope(
    person: Answer,
) -> None:
    """A service that got a narrow token must not get the whole scope of the session."""
    renewed = renew(person["refresh"], scope="profile:read")
    narrow = renewed["access"]

    assert call("me/", token=narrow).status == 200
    refused = call("activity/", token=narrow)
    assert (refused.code, refused["scope"]) == ("insufficient_scope", "activity:read")
    assert 'scope="activity:read"' in refused.headers["WWW-Authenticate"]
    assert exchange(narrow)["scope"] == renewed["scope"] == "profile:read"
    for scope in ("read", "profile:write"):
        assert exchange(narrow, scope=scope).code == "invalid_scope"
    wide = renew(renewed["refresh"])
    assert wide["scope"] == "profile:write read"
    assert call("activity/", token=wide["access"]).status == 200


def test_groups_are_only_in_tokens_with_the_groups_scope(person: Answer) -> None:
    Group.objects.create(name="writers").user_set.add(User.objects.get())

    asked = get_tokens(scope="groups read")["access"]

    assert claims_of(asked)["groups"] == ["writers"]
    for other in (
        person["access"],
        get_tokens()["access"],
        exchange(asked, scope="read")["access"],
    ):
        assert "groups" not in claims_of(other)


def test_groups_that_would_make_a_token_too_long_are_omitted_and_marked_as_such(
    person: Answer,
) -> None:
    """Otherwise a user with 200 groups would get a token that the site itself refuses."""
    alice, lengths = User.objects.get(), set()
    for number in range(200):
        Group.objects.create(name=f"group of the people on floor {number:03}").user_set.add(alice)
        if number % 10 == 9:
            access = get_tokens(scope="read groups")["access"]
            claims = claims_of(access)
            assert ("groups" in claims) is (claims.get("groups_omitted") is None)
            assert len(claims.get("groups", ())) in {0, number + 1}
            assert is_good(access)
            lengths.add(len(access))

    assert claims["groups_omitted"] is True
    assert "groups_omitted" not in claims_of(person["access"])
    assert 3072 < max(lengths) <= 4096
    assert len(call("me/", token=access)["groups"]) == 200


def test_the_second_step_gives_the_scope_that_the_first_step_requested(clock: Clock) -> None:
    seed = enrolled(make_user("alice"))
    challenge = get_tokens(scope="profile:read")["challenge"]
    data = {"challenge": challenge, "code": code_of(seed)}
    assert call("token/challenge/", {**data, "scope": "write", "audience": SERVICE}).status == 400

    answer = call("token/challenge/", data)

    assert answer["scope"] == "profile:read"
    assert claims_of(answer["access"])["aud"] != SERVICE
    assert renew(answer["refresh"], scope="read").code == "invalid_scope"


def test_9_3_an_exchange_keeps_the_session_and_gives_no_refresh_token(
    person: Answer, clock: Clock
) -> None:
    clock.advance(seconds=LIFE - 1)
    bought = exchange(person["access"])

    before, after = claims_of(person["access"]), claims_of(bought["access"])
    assert "refresh" not in bought.body
    same = ("iss", "sub", "aud", "sid", "scope", "auth_time", "amr", "acr", "client_id")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["exp"] == before["exp"] + LIFE - 1
    assert after["jti"] != before["jti"]
    assert call("me/", basic=f"{bought['access']}:").status == 200
    assert call("me/", basic=f"{bought['access']}:any:thing").status == 200


@pytest.mark.parametrize("given, seconds", [(None, LIFE), (450, 450), (0, 0)])
def test_a_chain_of_exchanges_ends_after_exchange_seconds(
    person: Answer, settings: Any, clock: Clock, given: int | None, seconds: int
) -> None:
    """Otherwise a thief could renew a stolen access token for a month without being noticed."""
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, exchange_seconds=given)
    first = claims_of(person["access"])["iat"]
    last = person["access"]
    for moment in range(first, first + seconds, 150):
        clock.set(datetime.fromtimestamp(moment, UTC))
        last = exchange(last)["access"]
        assert claims_of(last)["orig_iat"] == first
    clock.set(datetime.fromtimestamp(first + seconds, UTC))

    refused = exchange(last)

    assert (refused.status, refused.code) == (401, "token_not_valid")
    assert is_good(last) is (seconds < LIFE or last != person["access"])


def test_an_exchange_cannot_change_the_audience_and_is_recorded(person: Answer) -> None:
    assert exchange(person["access"], audience=SERVICE).code == "invalid_target"
    assert exchange(person["access"], audience="http://testserver").status == 400

    for burst in range(21):
        answer = exchange(person["access"])
        assert answer.code == ("throttled" if burst == 20 else "")

    assert Activity.objects.filter(kind="token_exchanged").count() == 20


@pytest.mark.parametrize("ends", ["refresh_idle_days", "refresh_token_days"])
def test_9_3_no_chain_of_exchanges_outlives_the_session(
    settings: Any, clock: Clock, ends: str
) -> None:
    """Each token is exchanged just before it expires; the session ends after a day."""
    settings.AUTHSITE = dataclasses.replace(
        settings.AUTHSITE, access_token_seconds=3600, exchange_seconds=2**20, **{ends: 1}
    )
    make_user("alice")
    last, end = get_tokens(), int((clock.now() + timedelta(days=1)).timestamp())

    while (exp := claims_of(last["access"])["exp"]) < end:
        clock.set(datetime.fromtimestamp(exp - 1, UTC))
        last = exchange(last["access"])

    assert exp == end
    assert is_good(last["access"])
    clock.set(datetime.fromtimestamp(end, UTC))
    assert not is_good(last["access"])
    assert exchange(last["access"]).code == "token_not_valid"


def test_a_session_ends_seven_days_after_its_last_refresh(person: Answer, clock: Clock) -> None:
    clock.advance(days=7, seconds=-1)
    tokens = renew(person["refresh"])
    clock.advance(days=7)

    for token in (tokens["refresh"], person["refresh"]):
        assert renew(token).code == "token_not_valid", "this does not count as reuse"


def test_no_chain_of_refreshes_outlives_thirty_days(person: Answer, clock: Clock) -> None:
    tokens = person
    for _ in range(4):
        clock.advance(days=6)
        tokens = renew(tokens["refresh"])
        assert tokens["expires_in"] == LIFE
    clock.advance(days=6, seconds=-60)

    tokens = renew(tokens["refresh"])

    assert 59 <= tokens["expires_in"] <= 60
    assert exchange(tokens["access"])["expires_in"] == tokens["expires_in"]
    clock.advance(seconds=60)
    assert not is_good(tokens["access"])
    assert exchange(tokens["access"]).status == 401
    assert renew(tokens["refresh"]).code == "token_not_valid"
