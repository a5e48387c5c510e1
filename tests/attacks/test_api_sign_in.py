"""Attacks on the sign-in over the API, and on its second step."""

import re
from functools import partial

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.sessions.models import LoginSession
from accounts.throttle.limits import LOGIN_SUBSCRIBER
from accounts.tokens import keyring, token_challenges
from accounts.tokens import services as tokens
from accounts.tokens.errors import InvalidChallenge
from accounts.tokens.models import TokenChallenge
from accounts.users.models import User
from tests.support.administration import by_staff
from tests.support.api import Answer, call, claims_of, get_tokens, is_good, second_step
from tests.support.api_steps import FINISH, api_sessions, first_step, first_step_of_alice, mail_for
from tests.support.lockdown import change_password, lock_down, switch_off
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, set_up_authenticator
from tests.support.second_steps import (
    WRONG_DIGITS,
    after_password,
    code_signs_in,
    mails_about,
    new_recovery_codes,
    trusting_browser,
    with_factor,
)
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    PASSWORD,
    WRONG,
    WRONG_CODE,
    make_staff,
    make_user,
    outbox,
    sign_in,
    sign_up,
)
from tests.support.webauthn import registered

GUESSES = LOGIN_SUBSCRIBER.burst
INVALID = (401, "invalid_credentials")
NAMES = ("alice", "nobody", "bob", "mallory", "pending")


def at(address):
    return Client(REMOTE_ADDR=address)


def by_body(name, password, client=None):
    """Sign in with a JSON body, as most programs do."""
    login = {"email" if "@" in name else "username": name, "password": password}
    return call("token/", login, client=client)


def by_basic(name, password, client=None):
    """Sign in by HTTP Basic."""
    return call("token/", {}, basic=f"{name}:{password}", client=client)


def by_a_call(name, password, client=None):
    """Call an endpoint with the password instead of a token."""
    return call("me/", basic=f"{name}:{password}", client=client)


WAYS = [by_body, by_basic, by_a_call]
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def people(db):
    """Accounts in every state, which answers must not reveal, and dave with a second factor."""
    make_user("alice")
    make_user("bob", password=None)
    make_user("mallory", is_active=False)
    sign_up(Client(), "pending")
    enrolled(make_user("dave"))


@each_way
def test_every_sign_in_attempt_costs_exactly_one_hash(people, way, hashes):
    """Withstands a flood."""
    for name in (*NAMES, "dave", "alice@example.org", "bob@example.org", "nobody@example.org"):
        for password in (PASSWORD, WRONG):
            hashes.clear()
            way(name, password)
            assert hashes == ["verify"], (name, password)
    hashes.clear()
    for name in ("alice", "nobody"):
        for length in (1025, 60_000):
            assert way(name, "a" * length).short == INVALID
    assert not hashes, "a text longer than any password is not hashed"


def shape(query):
    """Return an SQL statement without its values."""
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    return re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")


def work(act):
    """Return the answer and the SQL statements that it took."""
    with CaptureQueriesContext(connection) as queries:
        answer = act()
    own = {"Location", "X-Request-ID"}
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in own)
    done = [shape(query) for query in queries.captured_queries]
    return answer.status, answer.body, headers, done


@each_way
def test_unknown_pending_inactive_and_passwordless_accounts_answer_and_cost_the_same(people, way):
    """Withstands a spy."""
    keyring.signer()  # load the signing key before statements are counted
    for names in (NAMES, tuple(f"{name}@example.org" for name in NAMES)):
        known, *others = (work(lambda name=name: way(name, WRONG)) for name in names)
        assert (known[0], known[1]["code"]) == INVALID
        assert others == [known] * len(others)


@each_way
def test_only_the_right_password_learns_what_is_still_required(people, way):
    """Withstands a spy."""
    for name, code in {"pending": "email_not_verified", "dave": "second_factor_required"}.items():
        assert way(name, PASSWORD).short == (401, code)
        assert way(name, WRONG).short == INVALID
    # An unconfirmed email belongs to no account.
    assert way("pending@example.org", PASSWORD).short == INVALID


@pytest.mark.parametrize(
    "names",
    [["alice", "ALICE", "\uff41lice"], ["alice@example.org", "Alice@EXAMPLE.org"]],
    ids=["name", "address"],
)
def test_the_pages_and_the_api_share_their_limits_for_a_login_in_every_spelling(clock, names):
    """Withstands a guesser."""
    make_user("alice")
    ways = [*WAYS, lambda *login: sign_in(login[2], *login[:2])]

    statuses = []
    for i in range(GUESSES + 4):
        answer = ways[i % 4](names[i % len(names)], WRONG, at(f"192.0.2.{i}"))
        statuses.append(answer.status if isinstance(answer, Answer) else answer.status_code)

    assert [status for status in statuses[:GUESSES] if status not in {200, 401}] == []
    assert statuses[GUESSES:] == [429] * 4
    for way in WAYS:
        refused = way(names[0], PASSWORD, at("192.0.2.99"))
        assert refused.short == (429, "throttled")
        assert refused.headers["Retry-After"] == "60"
    clock.advance(seconds=59)
    assert by_body(names[0], PASSWORD, at("192.0.2.99")).status == 429
    clock.advance(seconds=1)
    assert by_body(names[0], PASSWORD, at("192.0.2.99")).status == 200


def test_a_sign_up_answers_and_costs_the_same_for_a_taken_and_a_free_email(people, hashes):
    works, bodies = [], []
    for name, owner in (("first", "nobody"), ("other", "alice"), ("third", "pending")):
        hashes.clear()
        new = {"username": name, "email": f"{owner}@example.org", "password": PASSWORD}
        status, body, headers, done = work(lambda new=new: call("users/", new))
        works.append((status, len(str(body)), headers, done, hashes[:]))
        bodies.append(str(body))

    assert works == [works[0]] * 3
    assert works[0][0] == 201
    assert works[0][4] == ["encode"]
    assert len(set(bodies)) == 3
    # A later sign-in does not reveal it either.
    later = [by_body(name, PASSWORD) for name in ("first", "other", "third")]
    assert {answer.short for answer in later} == {(401, "email_not_verified")}


def test_resending_and_wrong_codes_answer_and_cost_the_same_without_a_pending_sign_up(
    people, clock
):
    for name, line in (("x", "198.51.100.1"), ("y", "203.0.113.1")):
        sign_up(at(line), name, email="crowd@example.org")
    before, names = len(outbox()), (*NAMES, "crowd")
    for path, more, status, line in (
        ("email/resend/", {}, 200, "192.0.2.1"),
        ("email/resend/", {"username": "x"}, 200, "10.1.0.1"),
        ("email/verify/", {"code": WRONG_CODE}, 400, "10.2.0.1"),
    ):
        clock.advance(minutes=2)
        sent = [{"email": f"{name}@example.org", **more} for name in names]
        asked = [partial(call, path, one, client=at(line)) for one in sent]
        works = [work(act) for act in asked]
        assert works == [works[0]] * len(names)
        assert works[0][0] == status

    told = [mail.to for mail in outbox()[before:] if mail.to]
    assert told == ["pending@example.org", "crowd@example.org", "crowd@example.org"]


def test_a_right_password_alone_gives_a_challenge_and_nothing_else(clock):
    """Withstands a thief with the password."""
    alice, seed = with_factor()

    answer = get_tokens()

    challenge = answer["challenge"]
    assert (answer.status, answer["methods"]) == (401, ["totp", "email"])
    assert set(answer.body) == {"detail", "code", "challenge", "methods", "url"}
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


def test_a_challenge_is_valid_for_five_minutes_stored_as_a_digest_and_then_pruned(clock):
    """Withstands a thief with the password."""
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


def test_of_two_simultaneous_answers_to_a_challenge_one_uses_it_up():
    """Withstands a race."""
    first_step_of_alice()
    challenge = TokenChallenge.objects.get()

    token_challenges.consume(challenge)

    with pytest.raises(InvalidChallenge):
        token_challenges.consume(challenge)


@proves("V6.6.3")
def test_a_challenge_allows_five_codes_and_a_new_one_needs_the_password(clock):
    """Withstands a guesser."""
    challenge, seed = first_step_of_alice()
    other = first_step()
    for _ in range(5):
        assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    clock.advance(minutes=3)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert second_step(other, code_of(seed)).status == 200


def test_a_challenge_is_used_up_by_success_only(clock):
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
        switch_off,
        lambda alice: by_staff(alice, is_active="on", is_staff="on"),
        lambda alice: set_up_authenticator(signed_in(alice), name="Tablet"),
        new_recovery_codes,
    ],
    ids=["password", "switched off", "rights", "factor", "recovery codes"],
)
def test_a_challenge_is_invalid_after_a_change_of_the_account(clock, happens):
    challenge, seed = first_step_of_alice()

    happens(User.objects.get(username="alice"))
    clock.advance(seconds=60)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert api_sessions() == 0


def test_another_users_challenge_or_code_is_useless():
    """Withstands another member."""
    _alice, alices = with_factor()
    _mallory, mallorys = with_factor("mallory")
    hers, his = first_step(), first_step("mallory")

    assert second_step(hers, code_of(mallorys)).code == "invalid_code"
    assert second_step(his, code_of(alices)).code == "invalid_code"
    answer = second_step(his, code_of(mallorys))
    assert claims_of(answer["access"])["sub"] == str(User.objects.get(username="mallory").pk)


@proves("V6.6.2")
def test_a_mailed_code_completes_only_the_challenge_that_requested_it(clock):
    """Withstands a thief with the mailbox."""
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
    after_password().post(CHALLENGE, {"mail": "1"})
    assert second_step(first_step(), mails_about(FINISH)[-1].code).code == "invalid_code"


@proves("V6.5.1", "63B-3.2.7")
@pytest.mark.parametrize("first", ["page", "call"])
@pytest.mark.parametrize("kind", ["app", "recovery code"])
def test_a_code_works_once_across_pages_and_api(clock, kind, first):
    """Withstands a thief with a second factor."""
    alice, seed = with_factor()
    code = code_of(seed) if kind == "app" else new_recovery_codes(alice)[0]
    ways = {
        "page": lambda: code_signs_in(code),
        "call": lambda: second_step(first_step(), code.upper()).status == 200,
    }

    assert ways[first]()
    clock.advance(seconds=29)
    assert not any(way() for way in ways.values())
    assert len(mails_about("recovery code was used")) == (kind == "recovery code")


def test_an_account_with_passkeys_only_cannot_sign_in_by_mailed_code():
    registered(make_user("alice", emailed_codes=True))
    challenge = first_step(methods={"passkey"})

    assert mail_for(challenge).status == 401
    assert mails_about(FINISH) == []
    assert second_step(challenge, "0000 0000").code == "invalid_code"
    assert api_sessions() == 0


def test_staff_get_no_mailed_code_over_the_api():
    for name, rights in (("carol", {"is_staff": True}), ("owner", {"is_superuser": True})):
        _user, seed = with_factor(name, **rights)
        challenge = first_step(name, methods={"totp"})

        assert mail_for(challenge).status == 401
        assert second_step(challenge, code_of(seed)).status == 200
    assert mails_about(FINISH) == []


def test_staff_with_a_passkey_cannot_use_codes_and_no_code_is_used_up(settings):
    """Withstands a thief with the mailbox."""
    carol = make_staff("carol", has_factor=False)
    seed = enrolled(carol)
    registered(carol)
    codes = new_recovery_codes(User.objects.get())
    set_up(settings, staff_factor="passkey")

    challenge = first_step("carol", methods={"passkey"})

    assert mail_for(challenge).status == 401
    for code in (code_of(seed), codes[0]):
        assert second_step(challenge, code).code == "enrolment_required"
    assert api_sessions() == 0
    set_up(settings, staff_factor="any")
    assert second_step(first_step("carol"), codes[0]).status == 200


def test_basic_auth_with_a_password_works_only_if_the_setting_allows_it(settings):
    alice = make_user("alice")
    about = {"about": "Otters"}
    assert call("me/", about, method="PATCH", basic=f"alice:{PASSWORD}").status == 200
    assert alice.activity.get(kind="profile_changed").proof == "pwd"

    set_up(settings, api_basic_password="off")

    for password in (PASSWORD, WRONG):
        answer = call("me/", basic=f"alice:{password}")
        assert answer.short == (401, "invalid_credentials")
    assert call("token/", {"password": PASSWORD}).fields == ["username"]
    signed = call("token/", {}, basic=f"alice:{PASSWORD}")
    assert call("me/", basic=f"{signed['access']}:x").status == 200


@proves("V16.3.1")
def test_calls_with_a_password_leave_one_entry_for_each_network_and_day_and_tell_of_new_ones(clock):
    """Withstands a thief with the password: HTTP Basic.

    Without them, a thief with the password would read the account and leave no trace.
    """
    clock.set(clock.now().replace(hour=0, minute=0))
    alice = make_user("alice")
    before = len(outbox())

    def calls(address):
        return [by_a_call("alice", PASSWORD, at(address)).status for _ in range(3)]

    for address in ("192.0.2.1", "198.51.100.1", "192.0.2.1"):
        assert calls(address) == [200] * 3
    clock.advance(days=1)
    calls("192.0.2.1")
    by_a_call("alice", WRONG, at("203.0.113.1"))

    rows = alice.activity.filter(kind__startswith="client_signed_in").order_by("id")
    assert list(rows.values_list("kind", "ip", "proof")) == [
        ("client_signed_in_new", "192.0.2.1", "pwd"),
        ("client_signed_in_new", "198.51.100.1", "pwd"),
        ("client_signed_in", "192.0.2.1", "pwd"),
    ]
    told = [mail.subject for mail in outbox()[before:]]
    assert told == ["A program signed in to your account"] * 2


def test_of_two_simultaneous_first_calls_with_a_password_one_leaves_an_entry(monkeypatch, clock):
    """Withstands a race."""
    alice = make_user("alice")
    monkeypatch.setattr("accounts.tokens.services.find_record", lambda *_about: None)

    assert [by_a_call("alice", PASSWORD, at("192.0.2.1")).status for _ in range(2)] == [200, 200]

    assert alice.activity.filter(kind__startswith="client_signed_in").count() == 1


@pytest.mark.parametrize("required", ["all", "staff"])
def test_cve_2026_94218_starting_over_does_not_skip_enrolment(settings, required):
    """Withstands a thief with the password."""
    make_staff("carol", has_factor=False)
    make_user("bob")
    set_up(settings, second_factor=required)
    assert get_tokens("bob").status == (403 if required == "all" else 200)
    LoginSession.objects.all().delete()
    page = after_password("carol")
    page.get(SETUP)

    # A browser that has begun the enrolment does not help.
    for browser in (Client(), page, Client()):
        answer = get_tokens("carol", browser)
        assert answer.short == (403, "enrolment_required")
        assert set(answer.body) == {"detail", "code", "challenge", "methods", "url"}
        assert call("me/", basic=f"carol:{PASSWORD}").code == "enrolment_required"
        assert call("me/", client=browser).status == 401
    assert api_sessions() == 0

    assert set_up_authenticator(page).status_code == 302
    assert get_tokens("carol").code == "second_factor_required"


def test_the_api_ignores_the_trusted_browser_cookie():
    """Withstands a thief with a cookie."""
    alice, _seed = with_factor()
    trusted = trusting_browser(alice)

    assert get_tokens(client=trusted).code == "second_factor_required"
    assert call("me/", client=trusted, basic=f"alice:{PASSWORD}").code == "second_factor_required"
    assert call("me/", client=trusted).status == 401
    assert api_sessions() == 0


def test_locked_and_inactive_accounts_get_no_token_and_only_the_owner_learns_why():
    """Withstands a thief with the password."""
    lock_down(make_user("bob"))
    alice, _seed = with_factor()
    switch_off(alice)

    for answer in (get_tokens(), call("me/", basic=f"alice:{PASSWORD}")):
        assert answer.short == (403, "account_inactive")
        assert set(answer.body) == {"detail", "code"}
    stored = User.objects.get(username="bob").password
    for name, password in (("alice", WRONG), ("bob", PASSWORD), ("bob", "!"), ("bob", stored)):
        answer = call("token/", {"username": name, "password": password})
        assert answer.short == (401, "invalid_credentials")
    assert call("me/", basic=f"bob:{PASSWORD}").code == "invalid_credentials"


@pytest.mark.parametrize("happens", [lock_down, switch_off])
@pytest.mark.parametrize("has_factor", [False, True], ids=["one step", "two steps"])
def test_a_password_or_code_checked_before_a_change_gives_no_token_after_it(
    monkeypatch, happens, has_factor
):
    """The account changes between the last check and the start of the session."""
    alice = make_user("alice")
    seed = enrolled(alice) if has_factor else ""
    begin = tokens._begin

    def begin_late(*args):
        happens(User.objects.get())
        return begin(*args)

    monkeypatch.setattr(tokens, "_begin", begin_late)
    answer = get_tokens()
    if has_factor:
        answer = second_step(answer["challenge"], code_of(seed))

    assert answer.short == (401, "invalid_credentials")
    assert LoginSession.objects.filter(kind="api", ended_at=None).count() == 0
    assert not is_good(answer.body.get("access", "x"))
