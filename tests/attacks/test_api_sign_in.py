"""Attacks on the sign-in over the API."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.passwords.hashers import Argon2id
from accounts.throttle.limits import LOGIN_NETWORK, LOGIN_SUBSCRIBER
from accounts.tokens import keyring
from accounts.tokens.models import TokenChallenge
from accounts.users.models import User
from tests.support.administration import by_staff
from tests.support.api import Answer, call, claims_of, get_tokens, is_good, second_step
from tests.support.api_steps import (
    FINISH,
    api_sessions,
    first_step,
    first_step_of_alice,
    mail_for,
    status_and_code,
)
from tests.support.lockdown import change_password, lock_down, switch_off
from tests.support.second_factor import CHALLENGE, code_of, enrolled, set_up_authenticator
from tests.support.second_steps import (
    WRONG_DIGITS,
    after_password,
    mails_about,
    new_recovery_codes,
    with_factor,
)
from tests.support.signin import Clock, signed_in
from tests.support.steps import PASSWORD, WRONG, WRONG_CODE, make_user, outbox, sign_in, sign_up

pytestmark = pytest.mark.django_db


GUESSES = LOGIN_SUBSCRIBER.burst
INVALID = (401, "invalid_credentials")
NAMES = ("alice", "nobody", "bob", "mallory", "pending")
type SignIn = Callable[..., Answer]


def at(address: str, **headers: str) -> Client:
    return Client(REMOTE_ADDR=address, headers=headers)


def by_body(name: str, password: str, client: Client | None = None) -> Answer:
    """Sign in with a JSON body, as most programs do."""
    login = {"email" if "@" in name else "username": name, "password": password}
    return call("token/", login, client=client)


def by_basic(name: str, password: str, client: Client | None = None) -> Answer:
    """Sign in by HTTP Basic."""
    return call("token/", {}, basic=f"{name}:{password}", client=client)


def by_a_call(name: str, password: str, client: Client | None = None) -> Answer:
    """Call an endpoint with the password instead of a token."""
    return call("me/", basic=f"{name}:{password}", client=client)


WAYS = [by_body, by_basic, by_a_call]
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the hashes that are made and verified, by their parameters."""
    counted: Counter[str] = Counter()
    verify, encode = Argon2PasswordHasher.verify, Argon2PasswordHasher.encode

    def count_verify(self: Any, password: str, encoded: str) -> bool:
        counted[encoded.split("$")[3]] += 1
        return verify(self, password, encoded)

    def count_encode(self: Any, password: str, salt: str) -> str:
        counted["made"] += 1
        return encode(self, password, salt)

    monkeypatch.setattr(Argon2PasswordHasher, "verify", count_verify)
    monkeypatch.setattr(Argon2PasswordHasher, "encode", count_encode)
    return counted


@pytest.fixture
def people(db: None) -> None:
    """Accounts in every state, which answers must not reveal, and dave with a second factor."""
    make_user("alice")
    make_user("bob", password=None)
    make_user("mallory", is_active=False)
    sign_up(Client(), "pending")
    enrolled(make_user("dave"))


@each_way
def test_every_sign_in_attempt_costs_exactly_one_hash(
    people: None, way: SignIn, hashes: Counter[str]
) -> None:
    cost = f"m={Argon2id.memory_cost},t={Argon2id.time_cost},p=1"
    for name in (*NAMES, "dave", "alice@example.org", "bob@example.org", "nobody@example.org"):
        for password in (PASSWORD, WRONG):
            hashes.clear()
            way(name, password)
            assert dict(hashes) == {cost: 1}, (name, password)
    hashes.clear()
    for name in ("alice", "nobody"):
        for length in (1025, 60_000):
            assert status_and_code(way(name, "a" * length)) == INVALID
    assert not hashes, "a text longer than any password is not hashed"


def shape(query: dict[str, str]) -> str:
    """Return an SQL statement without its values."""
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    return re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")


def work(act: Callable[[], Answer]) -> tuple[int, Any, list[tuple[str, str]], list[str]]:
    """Return the answer and the SQL statements that it took."""
    with CaptureQueriesContext(connection) as queries:
        answer = act()
    own = {"Location", "X-Request-ID"}
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in own)
    done = [shape(query) for query in queries.captured_queries]
    return answer.status, answer.body, headers, done


@each_way
def test_unknown_pending_inactive_and_passwordless_accounts_answer_and_cost_the_same(
    people: None, way: SignIn
) -> None:
    keyring.signer()  # load the signing key before statements are counted
    for names in (NAMES, tuple(f"{name}@example.org" for name in NAMES)):
        known, *others = (work(lambda name=name: way(name, WRONG)) for name in names)
        assert (known[0], known[1]["code"]) == INVALID
        assert others == [known] * len(others)


@each_way
def test_only_the_right_password_learns_what_is_still_required(people: None, way: SignIn) -> None:
    for name, code in {"pending": "email_not_verified", "dave": "second_factor_required"}.items():
        assert status_and_code(way(name, PASSWORD)) == (401, code)
        assert status_and_code(way(name, WRONG)) == INVALID
    # An unconfirmed email belongs to no account.
    assert status_and_code(way("pending@example.org", PASSWORD)) == INVALID


def test_the_pages_and_the_api_share_their_sign_in_limits(clock: Clock) -> None:
    make_user("alice")
    ways = [*WAYS, lambda *login: sign_in(login[2], *login[:2])]
    names = ["alice", "ALICE", "\uff41lice"]

    statuses = []
    for i in range(GUESSES + 4):
        answer = ways[i % 4](names[i % 3], WRONG, at(f"192.0.2.{i}"))
        statuses.append(answer.status if isinstance(answer, Answer) else answer.status_code)

    assert [status for status in statuses[:GUESSES] if status not in {200, 401}] == []
    assert statuses[GUESSES:] == [429] * 4
    for way in WAYS:
        refused = way("alice", PASSWORD, at("192.0.2.99"))
        assert status_and_code(refused) == (429, "throttled")
        assert refused.headers["Retry-After"] == "60"
    clock.advance(minutes=1)
    assert by_body("alice", PASSWORD, at("192.0.2.99")).status == 200


def test_guesses_from_one_wide_network_do_not_block_the_owner_elsewhere(clock: Clock) -> None:
    make_user("alice")
    for i in range(GUESSES + 2):
        by_body("alice", WRONG, at(f"192.0.2.{i}"))

    assert by_body("alice", PASSWORD, at("192.0.2.99")).status == 429
    assert by_body("alice", PASSWORD, at("203.0.113.77")).status == 200


FORGED = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Via",
          "CF-Connecting-IP", "X-Cluster-Client-IP", "Client-IP", "Remote-Addr")  # fmt: skip


def test_a_forged_ip_address_gives_no_further_guesses(clock: Clock) -> None:
    statuses = []
    for i in range(LOGIN_NETWORK.burst + 5):
        forged = dict.fromkeys(FORGED, f"203.0.113.{i}") | {"Forwarded": f"for=203.0.113.{i}"}
        way = WAYS[i % 3]
        statuses.append(way(f"nobody{i}", WRONG, at("198.51.100.9", **forged)).status)

    assert statuses == [401] * LOGIN_NETWORK.burst + [429] * 5


def test_a_sign_up_answers_and_costs_the_same_for_a_taken_and_a_free_email(
    people: None, hashes: Counter[str]
) -> None:
    works, bodies = [], []
    for name, owner in (("first", "nobody"), ("other", "alice"), ("third", "pending")):
        hashes.clear()
        new = {"username": name, "email": f"{owner}@example.org", "password": PASSWORD}
        status, body, headers, done = work(lambda new=new: call("users/", new))
        works.append((status, len(str(body)), headers, done, dict(hashes)))
        bodies.append(str(body))

    assert works == [works[0]] * 3
    assert works[0][0] == 201
    assert works[0][4] == {"made": 1}
    assert len(set(bodies)) == 3
    # A later sign-in does not reveal it either.
    later = [by_body(name, PASSWORD) for name in ("first", "other", "third")]
    assert {status_and_code(answer) for answer in later} == {(401, "email_not_verified")}


def test_resending_and_wrong_codes_answer_and_cost_the_same_without_a_pending_sign_up(
    people: None, clock: Clock
) -> None:
    clock.advance(minutes=2)
    before = len(outbox())
    for path, more, status in (
        ("email/resend/", {}, 200),
        ("email/verify/", {"code": WRONG_CODE}, 400),
    ):
        sent = [{"email": f"{name}@example.org", **more} for name in NAMES]
        works = [work(lambda path=path, one=one: call(path, one)) for one in sent]
        assert works == [works[0]] * len(NAMES)
        assert works[0][0] == status

    assert [mail.to for mail in outbox()[before:] if mail.to] == ["pending@example.org"]


def test_a_right_password_alone_gives_a_challenge_and_nothing_else(clock: Clock) -> None:
    alice, seed = with_factor()

    answer = get_tokens()

    challenge = answer["challenge"]
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.body) == {"detail", "code", "challenge", "methods"}
    assert answer["methods"] == ["totp", "email"]
    assert api_sessions() == 0
    assert not alice.activity.filter(kind__startswith="client_signed_in").exists()
    assert call("me/", token=challenge).status == 401
    assert call("me/", basic=f"{challenge}:x").status == 401
    assert call("token/refresh/", {"refresh": challenge}).code == "token_not_valid"
    clock.advance(minutes=2)
    access = second_step(challenge, code_of(seed))["access"]
    claims = claims_of(access)
    assert is_good(access)
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp"], "aal2")
    assert claims["auth_time"] == claims["iat"]


def test_a_challenge_is_valid_for_five_minutes_stored_as_a_digest_and_then_pruned(
    clock: Clock,
) -> None:
    late, seed = first_step_of_alice()
    (row,) = TokenChallenge.objects.values()
    assert late not in str(row)
    for text in (row["digest"], late[:-1], late.swapcase(), "x", str(row["user_id"]), "\u0660"):
        assert second_step(text, code_of(seed)).code == "invalid_challenge"
    in_time = first_step()
    clock.advance(seconds=299)
    assert second_step(in_time, code_of(seed)).status == 200
    clock.advance(seconds=1)

    for answer in (second_step(late, code_of(seed)), mail_for(late)):
        assert answer.code == "invalid_challenge"
    assert api_sessions() == 1
    call_command("prune")
    assert not TokenChallenge.objects.exists()


def test_a_challenge_allows_five_codes_and_a_new_one_needs_the_password(clock: Clock) -> None:
    challenge, seed = first_step_of_alice()
    for _ in range(5):
        assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    clock.advance(minutes=3)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert second_step(first_step(), code_of(seed)).status == 200


def test_a_challenge_is_used_up_by_success_only(clock: Clock) -> None:
    challenge, seed = first_step_of_alice()
    assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    assert second_step(challenge, code_of(seed)).status == 200
    clock.advance(seconds=30)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert api_sessions() == 1


@pytest.mark.parametrize(
    "happens",
    [
        change_password,
        lock_down,
        switch_off,
        lambda alice: by_staff(alice, {"is_active": "on", "is_staff": "on"}),
        lambda alice: set_up_authenticator(signed_in(alice), name="Tablet"),
        new_recovery_codes,
    ],
    ids=["password", "lockdown", "switched off", "rights", "factor", "recovery codes"],
)
def test_a_challenge_is_invalid_after_a_change_of_the_account(
    clock: Clock, happens: Callable[[Any], None]
) -> None:
    challenge, seed = first_step_of_alice()

    happens(User.objects.get(username="alice"))
    clock.advance(seconds=60)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert api_sessions() == 0


def test_another_users_challenge_or_code_is_useless() -> None:
    _alice, alices = with_factor()
    _mallory, mallorys = with_factor("mallory")
    hers, his = first_step(), first_step("mallory")

    assert second_step(hers, code_of(mallorys)).code == "invalid_code"
    assert second_step(his, code_of(alices)).code == "invalid_code"
    theirs = {"challenge": his, "code": code_of(mallorys)}
    assert call("token/challenge/", {**theirs, "user": "alice"}).status == 400
    answer = call("token/challenge/", theirs)
    assert claims_of(answer["access"])["sub"] == str(User.objects.get(username="mallory").pk)


def test_a_mailed_code_completes_only_the_challenge_that_requested_it(clock: Clock) -> None:
    with_factor()
    challenge, other = first_step(), first_step()
    page = after_password()

    assert mail_for(challenge).status == 202
    (mail,) = mails_about(FINISH, "alice@example.org")
    assert mail_for(challenge).status == 429, "a second mail is not sent at once"
    assert second_step(other, mail.code).code == "invalid_code"
    page.post(CHALLENGE, {"code": mail.code})
    assert page.get("/").status_code == 302

    claims = claims_of(second_step(challenge, mail.code)["access"])
    assert (claims["amr"], claims["acr"]) == (["pwd", "mail"], "aal1")
    assert second_step(first_step(), mail.code).code == "invalid_code"
    clock.advance(minutes=5)
    (page := after_password()).post(CHALLENGE, {"mail": "1"})
    of_page = mails_about(FINISH)[-1].code
    assert of_page != mail.code
    assert second_step(first_step(), of_page).code == "invalid_code"
    page.post(CHALLENGE, {"code": of_page})
    assert page.get("/").status_code == 200, "a code that the page requested works on the page"
