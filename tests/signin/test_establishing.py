"""Sessions, as the end of a sign-in establishes them."""

import pytest

from accounts.activity.models import Activity
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.common.proofs import Method, Proof
from accounts.sessions.models import LoginSession
from accounts.sessions.store import SessionStore
from accounts.signin import flow
from accounts.signin.services import InvalidCredentials, refuse_flood, verify_password
from accounts.signin.session import CompletedSignIn, establish_session, sign_out
from accounts.throttle.limits import LOGIN_SUBSCRIBER
from accounts.users.services import AccountChanged
from tests.support.disputes import reloaded
from tests.support.steps import WRONG

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
