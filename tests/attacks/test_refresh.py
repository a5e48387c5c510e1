"""Refresh tokens that are reused, forged, spelled otherwise or read from the database."""

import base64
import string
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.apps import apps

from accounts.activity.models import Activity
from accounts.common import secrets
from accounts.sessions.models import LoginSession
from accounts.tokens import families, keyring
from tests.support.api import Answer, call, claims_of, exchange, get_tokens, is_good, renew
from tests.support.clock import Clock
from tests.support.steps import make_user, outbox

pytestmark = pytest.mark.django_db

REUSED = "token_reused"
NOT_VALID = "token_not_valid"
ALPHABET = string.ascii_letters + string.digits + "-_"


def person(name: str = "alice") -> Answer:
    """Create a user and return the first tokens of a program."""
    make_user(name)
    return get_tokens(name)


def refused(refresh_token: str, **token_request: str) -> str:
    """Refresh with ``refresh_token``, fail unless it is refused, and return the error code."""
    answer = renew(refresh_token, **token_request)
    assert answer.status == 401, answer
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return answer.code


def reuses() -> int:
    """Return how many reuses were recorded; fail unless a mail reports each of them."""
    noted = Activity.objects.filter(kind=REUSED).count()
    mails = [mail for mail in outbox() if "may have been copied" in mail.subject]
    assert len(mails) == noted
    return noted


def test_a_retry_gets_the_same_refresh_token_and_a_valid_access_token(clock: Clock) -> None:
    first = person()
    renewed = renew(first["refresh"])

    for seconds in (0, 15, 14.9):
        clock.advance(seconds=seconds)
        again = renew(first["refresh"])
        assert again["refresh"] == renewed["refresh"] != first["refresh"]
        assert again["access"] != renewed["access"]
        assert is_good(again["access"])

    assert is_good(renewed["access"])
    assert renew(renewed["refresh"]).status == 200
    assert reuses() == 0


def test_reuse_after_the_grace_period_revokes_the_session_and_notifies_the_user(
    clock: Clock,
) -> None:
    first = person()
    renewed = renew(first["refresh"])
    clock.advance(seconds=29)
    assert renew(first["refresh"]).status == 200, "a retry does not extend the grace period"
    clock.advance(seconds=1)

    assert refused(first["refresh"]) == REUSED

    assert refused(renewed["refresh"]) == NOT_VALID
    assert not is_good(first["access"])
    assert not is_good(renewed["access"])
    assert reuses() == 1


def test_a_clock_that_is_set_back_does_not_extend_the_grace_period(clock: Clock) -> None:
    first = person()
    renew(first["refresh"])
    clock.advance(hours=-2)

    assert refused(first["refresh"]) == REUSED


def test_reuse_after_the_successor_was_used_revokes_only_that_session_at_once(
    clock: Clock,
) -> None:
    """Reuse is detected even if the request is invalid for another reason."""
    first = person()
    other, bobs = get_tokens(), person("bob")
    third = renew(renew(first["refresh"])["refresh"])

    assert refused(first["refresh"], scope="groups") == REUSED

    assert not is_good(third["access"])
    assert refused(third["refresh"]) == NOT_VALID
    assert reuses() == 1
    for tokens in (other, bobs):
        assert is_good(tokens["access"])
        assert renew(tokens["refresh"]).status == 200


def test_reuse_of_a_much_older_token_revokes_the_session_and_is_recorded_once(clock: Clock) -> None:
    """Further attempts send no more mails."""
    tokens = [person()]
    for _ in range(4):
        tokens.append(renew(tokens[-1]["refresh"]))
        clock.advance(days=1)

    assert refused(tokens[1]["refresh"]) == REUSED

    assert {refused(token["refresh"]) for token in tokens} == {NOT_VALID}
    assert reuses() == 1


def other_spellings(token: str) -> dict[str, str]:
    """Return texts that a lenient parser would take for ``token`` or for one of its session."""
    raw = base64.urlsafe_b64decode(token)
    return {
        "upper case": token.upper(),
        "the other alphabet": token.replace("-", "+").replace("_", "/"),
        "line break inside": f"{token[:36]}\n{token[36:]}",
        "wide digits": token.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"}),
        "cut": token[:-1],
        "id alone": token[:22],
        "longer": f"{token}AAAA",
        "last character": f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        "tag of zeros": base64.urlsafe_b64encode(raw[: -families.TAG] + bytes(16)).decode(),
        "digest": families.digest_of(token),
        "zeros": "A" * families.LENGTH,
    }


def test_other_spellings_of_a_refresh_token_neither_work_nor_revoke_the_session(
    clock: Clock,
) -> None:
    first = person()
    # A token with characters that differ in the two Base64 alphabets.
    while not ({"-", "_"} & set(first["refresh"]) and set("0123456789") & set(first["refresh"])):
        first = renew(first["refresh"])
    clock.advance(seconds=31)

    for name, token in other_spellings(first["refresh"]).items():
        assert token != first["refresh"], name
        assert refused(token) == NOT_VALID, name
        call("token/revoke/", {"token": token})

    clock.advance(seconds=31)
    assert renew(first["refresh"]).status == 200
    assert reuses() == 0


def test_every_character_of_a_refresh_token_is_verified() -> None:
    """This includes the spare bits of Base64. No two tokens are the same."""
    family = uuid.uuid4()
    token = families.first_token(family)
    assert families.family_of(token) == family
    for place, character in enumerate(token):
        for other in (ALPHABET[(ALPHABET.index(character) + n) % 64] for n in (1, 2, 4, 16, 32)):
            assert families.family_of(token[:place] + other + token[place + 1 :]) is None
    for odd in ("", f"{token}=", "\ud800" * 72, "é" * 36):
        assert families.family_of(odd) is None
    assert families.SECRET * 8 >= 160
    chain = [token, families.first_token(family)]
    for _ in range(100):
        chain.append(families.successor(chain[-1]))
    assert len({families.digest_of(link) for link in chain}) == 102


def test_knowing_a_session_id_is_not_enough_to_revoke_it(clock: Clock) -> None:
    """Every service that gets an access token can read the session id in it."""
    alices, mallorys = person(), person("mallory")
    sid = uuid.UUID(claims_of(alices["access"])["sid"]).bytes
    hers = base64.urlsafe_b64decode(mallorys["refresh"])

    for raw in (sid + bytes(38), sid + hers[16:], sid + hers[16:38] + sid, hers[:38] + sid):
        token = base64.urlsafe_b64encode(raw).decode()
        assert refused(token) == NOT_VALID
        assert call("token/revoke/", {"token": token}).status == 200

    assert is_good(alices["access"])
    assert renew(alices["refresh"]).status == 200
    assert renew(mallorys["refresh"]).status == 200


def test_a_copy_of_the_database_reveals_no_token_and_computes_no_successor() -> None:
    first = person()
    second = renew(first["refresh"])
    answers = [first, second, renew(second["refresh"]), exchange(first["access"])]
    dump = str([list(model._base_manager.values_list()) for model in apps.get_models()])

    for answer in answers:
        for token in (answer["access"], answer.body.get("refresh", answer["access"])):
            assert token not in dump
            assert token[-38:] not in dump
            assert token.rpartition(".")[2] not in dump
    (family,) = LoginSession.objects.all()
    for digest in (family.refresh_digest, family.former_digest):
        assert digest in dump
        raw = family.pk.bytes + bytes.fromhex(digest)[:22]
        made = base64.urlsafe_b64encode(raw + bytes.fromhex(digest)[:16]).decode()
        assert {refused(token) for token in (digest, made, families.digest_of(made))} == {NOT_VALID}
    assert renew(answers[2]["refresh"]).status == 200


def test_rotating_the_secret_key_node_by_node_revokes_no_session(
    settings: Any, clock: Clock
) -> None:
    former, newest = "former " * 8, "newest " * 8

    def know(newest_first: str, *fallbacks: str) -> None:
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = newest_first, [*fallbacks]

    know(former)
    first = person()
    second = renew(first["refresh"])
    know(newest, former)
    again = renew(first["refresh"])
    assert again["refresh"] == second["refresh"], "a retry gets the same successor"
    assert is_good(again["access"])

    third = renew(second["refresh"])
    know(former)
    assert refused(second["refresh"]) == NOT_VALID, "this node does not have the newer key yet"

    know(newest, former)
    fourth = renew(third["refresh"])
    know(newest)
    assert renew(fourth["refresh"]).status == 200
    assert refused(first["refresh"]) == NOT_VALID, "a token of a removed key counts as forged"
    assert reuses() == 0


def test_a_refresh_that_cannot_be_signed_does_not_use_up_the_token(
    clock: Clock, settings: Any
) -> None:
    """Otherwise a client's retry a minute later would count as reuse."""
    token = person()["refresh"]
    before, sign_ins = settings.AUTHSITE, LoginSession.objects.count()
    settings.AUTHSITE = replace(before, encryption_keys=(secrets.encryption_key(),))
    keyring.forget()
    answers = [renew(token), get_tokens()]
    assert [(a.status, a.code) for a in answers] == [(503, "unavailable")] * 2
    assert LoginSession.objects.count() == sign_ins

    settings.AUTHSITE = before
    keyring.forget()
    clock.advance(minutes=1)
    assert renew(token).status == 200
