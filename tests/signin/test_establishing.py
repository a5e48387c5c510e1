"""Sessions, as the end of a sign-in establishes them, and sign-ins that fail."""

from contextlib import suppress

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.codes.services import WrongCode
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.errors import PublicError, RateLimited
from accounts.common.proofs import Method, Proof
from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue
from accounts.sessions import known_browsers
from accounts.sessions.models import LoginSession
from accounts.sessions.store import SessionStore
from accounts.signin import flow, second_step
from accounts.signin import mailed_codes as codes
from accounts.signin.services import InvalidCredentials, refuse_flood, verify_password
from accounts.signin.session import CompletedSignIn, establish_session, sign_out
from accounts.throttle.limits import CODE_GUESS, LOGIN_SUBSCRIBER, MAIL_BOX
from accounts.users.services import AccountChanged
from tests.support.disputes import lock, reloaded
from tests.support.second_factor import enrolled
from tests.support.signin import request_of, signed_in
from tests.support.steps import PASSWORD, WRONG, WRONG_CODE, make_user, outbox, sign_in

P, M, OP, F, T, R, K, U, B = Method


@pytest.fixture
def request_(rf):
    request = rf.get("/")
    request.session = SessionStore()
    return request


def establish(request, user, method=P, key="", **options):
    proof = Proof.now(method, key)
    establish_session(request, CompletedSignIn(reloaded(user), (proof,), **options))


@pytest.mark.parametrize(
    "method, kind", [(M, "signed_in"), (OP, "signed_in"), (F, "signed_in"), (P, "signed_in_new")]
)
def test_only_the_first_sign_in_after_a_sign_up_is_not_from_a_new_browser(
    request_, rf, alice, method, kind
):
    establish(request_, alice, method, "acme")
    again = rf.get("/")
    again.session = SessionStore()
    establish(again, alice, method, "acme")

    told = alice.activity.order_by("id").values_list("kind", "detail", "session")
    detail = "acme" if method is F else ""
    sessions = LoginSession.objects.order_by("begun_at").values_list("pk", flat=True)
    assert list(told) == [
        (each, detail, session)
        for each, session in zip((kind, "signed_in_new"), sessions, strict=True)
    ]


@pytest.mark.parametrize("remember", [True, False])
def test_a_sign_in_ends_the_session_that_its_browser_had(request_, alice, remember):
    establish(request_, alice)
    former, key = LoginSession.objects.get(), request_.session.session_key

    establish(request_, alice, remember=remember)

    assert not LoginSession.objects.filter(pk=former.pk, ended_at=None).exists()
    assert alice.login_sessions.filter(ended_at=None).count() == 1
    assert request_.session.session_key != key
    assert SessionStore(key).load() == {}
    assert request_.session.get_expire_at_browser_close() is not remember


def test_a_sign_in_fails_if_the_account_has_changed_meanwhile(request_, alice):
    stale = reloaded(alice)
    alice.set_password("x")
    alice.save()

    with pytest.raises(AccountChanged):
        establish_session(request_, CompletedSignIn(stale, (Proof.now(P),)))

    assert reloaded(alice).last_login is None
    assert not LoginSession.objects.exists()


def test_signing_out_without_a_session_forgets_what_the_browser_stored(request_, db):
    flow.suggest_login(request_, "alice")

    sign_out(request_)

    assert request_.session.is_empty()
    assert not Activity.objects.exists()


@pytest.mark.parametrize("refused", ["alice", "ALICE"])
def test_a_flood_is_refused_without_counting_unless_the_browser_may_be_known(alice, clock, refused):
    client, known = ClientInfo("10.0.0.1", ""), ClientInfo("10.0.0.1", "", known_cookie="x")
    for _ in range(LOGIN_SUBSCRIBER.burst):
        for login in (refused, "bob"):
            refuse_flood(login, client)
        with pytest.raises(InvalidCredentials):
            verify_password("alice", WRONG, client)

    with pytest.raises(RateLimited):
        refuse_flood(refused, client)
    refuse_flood(refused, known)
    refuse_flood("bob", client)


def test_a_pending_sign_in_is_valid_for_less_than_thirty_minutes(request_, alice, clock):
    pending = flow.PendingSignIn(alice, (Proof.now(P), Proof.now(T)), True, "/next/", "nonce")
    flow.store(request_, pending)

    clock.advance(seconds=flow.LIFE.total_seconds() - 1)
    assert flow.find_pending(request_) == pending
    clock.advance(seconds=1)
    assert flow.find_pending(request_) is None
    assert [flow.discard(request_), flow.discard(request_)] == ["/next/", None]


@pytest.mark.parametrize(
    "fields", [{"is_staff": True}, {"is_active": False}, {"credential_version": 9}]
)
def test_a_pending_sign_in_begins_again_once_the_account_has_changed(request_, alice, fields):
    flow.store(request_, flow.PendingSignIn(alice, (Proof.now(M),)))
    assert flow.find_pending(request_)

    type(alice).objects.update(**fields)

    assert flow.find_pending(request_) is None


def at(line, **more):
    """Return a program on an internet connection of its own."""
    return ClientInfo(f"10.{line}.0.1", "curl/8", **more)


def guess(client, login="alice"):
    """Guess at an emailed code; return the error."""
    with pytest.raises(PublicError) as error:
        codes.verify_mailed_code(login, "nonce", WRONG_CODE, client, check=pytest.fail)
    return error.type


def test_the_history_says_why_a_sign_in_failed(alice):
    make_user("bob", is_active=False)
    for login in ["alice"] * LOGIN_SUBSCRIBER.burst + ["alice@example.org", "nobody"]:
        with suppress(PublicError):
            verify_password(login, WRONG, at(1))
    guess(at(2))
    guess(at(2), "nobody")
    sign_in(Client(REMOTE_ADDR="10.2.0.1"), "bob")
    lock(alice)
    for password in (WRONG, PASSWORD):
        with suppress(PublicError):
            verify_password("alice", password, at(2))

    rows = Activity.objects.filter(kind="sign_in_failed").order_by("id")
    assert [*rows.values_list("user__username", "ip", "detail")] == [
        *[("alice", "10.1.0.1", "password")] * LOGIN_SUBSCRIBER.burst,
        *[("alice", "10.1.0.1", "unchecked"), (None, "10.1.0.1", "password")],
        *[("alice", "10.2.0.1", "code"), (None, "10.2.0.1", "code")],
        ("bob", "10.2.0.1", "switched_off"),
        *[("alice", "10.2.0.1", "locked")] * 2,
    ]


def test_guesses_at_codes_count_for_a_known_browser_or_for_the_network(alice, clock):
    hers, other = (client_of(request_of(signed_in(alice))) for _ in range(2))
    stranger = ClientInfo(hers.ip, hers.user_agent)

    assert {guess(hers) for _ in range(CODE_GUESS.burst)} == {WrongCode}
    assert [guess(each) for each in (hers, other, stranger)] == [RateLimited, WrongCode, WrongCode]
    unknown = ClientInfo(hers.ip, hers.user_agent, "x" * 43)
    assert {guess(unknown) for _ in range(CODE_GUESS.burst - 1)} == {WrongCode}
    assert [guess(each) for each in (unknown, stranger, other)] == [*[RateLimited] * 2, WrongCode]


def test_no_code_goes_to_a_locked_account_or_to_one_without_an_address(alice):
    make_user("bob", email="")
    assert codes.recipient_of("bob").email == ""
    codes.send_code("alice", "nonce", at(1))
    lock(alice)
    codes.send_code("alice", "nonce", at(2))

    assert [mail.to for mail in outbox() if mail.code] == ["alice@example.org", ""]


def test_a_full_mailbox_still_gets_codes_for_a_program_that_its_owner_has_used(alice):
    known_browsers.note_client(at(8), alice)

    sent = [codes.recipient_for(codes.CODE, "alice", at(n)).email for n in range(10)]

    assert sent == ["alice@example.org"] * MAIL_BOX.burst + [""] * 4 + ["alice@example.org", ""]


def test_codes_are_sent_before_notices_and_not_after_ten_minutes(clock):
    alice, proofs = make_user("alice", emailed_codes=True), (Proof.now(P),)

    codes.send_code("alice", "nonce", at(1))
    second_step.send_code(alice, proofs, "nonce", at(1))

    rows = OutgoingMail.objects.values_list("queue", "expires_at")
    assert [*rows] == [(Queue.CODES, clock.now() + codes.CODE.life)] * 2
    alice.email = ""
    with pytest.raises(second_step.NoMail):
        second_step.send_code(alice, proofs, "nonce", at(2))


@pytest.mark.parametrize(
    "asked, method, other, is_mailed",
    [
        ({}, "totp", "email", False),
        ({"wanted": "email"}, "email", "totp", False),
        ({"nonce": "x"}, "email", "totp", True),
        ({"nonce": "x", "wanted": "totp"}, "totp", "email", True),
    ],
)
def test_the_second_step_asks_for_one_method_and_links_to_the_others(
    alice, asked, method, other, is_mailed
):
    alice.emailed_codes = True
    enrolled(alice)

    offer = second_step.offer(alice, (Proof.now(P),), **asked)

    assert (offer.method, offer.others, offer.is_mailed) == (method, [other], is_mailed)
    mailed = second_step.offer(alice, (Proof.now(M),), **asked)
    assert (mailed.accepted, mailed.method, mailed.is_mailed) == (["totp"], "totp", False)
