"""Which proofs allow which actions, and attempts to act with weak proofs.

A trusted browser, a mailed code and a provider's sign-in are weak. In an account with a second
factor they must neither change a credential nor open staff pages.
"""

import pytest
from django.test import Client

from accounts.activity.events import Failure
from accounts.activity.models import Activity
from accounts.common.proofs import Method
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.administration import act
from tests.support.api import call, second_step
from tests.support.api_steps import first_step, mail_for
from tests.support.second_factor import (
    CHALLENGE,
    SETUP,
    enrolled,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import (
    PASSWORD,
    code_in,
    is_signed_in,
    mail_to,
    make_user,
    sign_in,
)

REAUTHENTICATE = "/accounts/reauthenticate/"
NEW_PASSWORD = "slow comet over the harbour"
# The path and the form of each action; ``{id}`` is the id of the account's authenticator.
ACTS: dict[str, tuple[str, dict[str, str]]] = {
    "change the password": ("/accounts/password/change/", {"password1": NEW_PASSWORD}),
    "add an email": ("/accounts/email/", {"email": "mallory@example.org"}),
    "make an email primary": ("/accounts/email/", {"primary": "1"}),
    "remove an email": ("/accounts/email/", {"remove": "1"}),
    "connect a provider": ("/accounts/oidc/acme/login/", {"act": "connect"}),
    "make an API key": ("/accounts/keys/new/", {"name": "bot", "profile": "read", "expires": "30"}),
    "get a token for the API reference": ("/accounts/reference/", {}),
    "add an authenticator": (SETUP, {"code": "000000"}),
    "add a passkey": ("/accounts/2fa/passkeys/add/", {}),
    "remove a factor": ("/accounts/2fa/totp/{id}/", {"remove": "1"}),
    "make recovery codes": ("/accounts/2fa/recovery-codes/", {"new": "1"}),
    "turn on codes by email": ("/accounts/2fa/emailed-codes/", {"emailed_codes": "on"}),
    "change the username": ("/accounts/profile/", {"username": "mallory"}),
    "change the profile": ("/accounts/profile/", {"display_name": "Mallory", "language": "de"}),
    "sign out everywhere else": ("/accounts/sessions/", {"others": "1"}),
    "delete the account": ("/accounts/delete/", {"username": "alice"}),
    "take the data along": ("/accounts/data/", {}),
    "lock the account": ("/accounts/lockdown/", {}),
}
WEAK: list[tuple[Method, ...]] = [
    (Method.PASSWORD, Method.TRUSTED_BROWSER),
    (Method.MAIL, Method.TRUSTED_BROWSER),
    (Method.PROVIDER, Method.TRUSTED_BROWSER),
    (Method.PASSWORD, Method.MAIL),
]
STRONG: list[tuple[Method, ...]] = [
    (Method.PASSWORD, Method.TOTP),
    (Method.MAIL, Method.RECOVERY_CODE),
    (Method.PASSKEY,),
]


def needs_reauthentication(answer):
    """Return whether the site asked for reauthentication instead of acting."""
    return answer.status_code == 302 and answer["Location"].startswith(REAUTHENTICATE)


@pytest.fixture
def alice(op):
    """Alice, who has an authenticator app, at a site with a provider."""
    user = make_user("alice", emailed_codes=True)
    enrolled(user)
    return user


@pytest.mark.parametrize("act", ACTS)
def test_no_weak_proof_allows_an_action_in_an_account_with_a_second_factor(alice, act):
    """Withstands a thief in the account: weak proofs change a credential or lock."""
    path, data = ACTS[act]
    path = path.format(id=Authenticator.objects.get().pk)

    weak = {
        proofs: needs_reauthentication(signed_in(alice, by=proofs).post(path, data))
        for proofs in WEAK
    }
    assert weak == dict.fromkeys(WEAK, True)
    assert User.objects.get().credential_version == alice.credential_version
    for proofs in STRONG:
        alice = User.objects.get()
        assert not needs_reauthentication(signed_in(alice, by=proofs).post(path, data)), proofs
        alice = User.objects.get()
        if not Authenticator.objects.exists() or alice.is_locked_down or alice.deletion_due:
            break


@pytest.mark.parametrize("act", [act for act in ACTS if act not in {"remove a factor"}])
def test_without_a_second_factor_any_recent_proof_allows_an_action(op, act, clock):
    """Withstands a thief with a cookie."""
    alice = make_user("alice")
    path, data = ACTS[act]
    old = signed_in(alice, by=(Method.PASSWORD,))
    clock.advance(minutes=11)

    assert needs_reauthentication(old.post(path, data))
    assert not needs_reauthentication(signed_in(alice, by=(Method.MAIL,)).post(path, data))


@proves("V7.5.2")
@pytest.mark.parametrize("proofs", WEAK)
def test_no_weak_proof_ends_a_session_of_an_account_with_a_second_factor(alice, clock, proofs):
    """Otherwise somebody with a trusted browser and the mailbox could sign the owner out."""
    signed_in(alice)
    owners = LoginSession.objects.get()
    event = Activity.objects.filter(session=owners.pk).first()
    ways = {"/accounts/sessions/": {"end": str(owners.pk)}, f"/accounts/activity/{event.pk}/": {}}

    weak = signed_in(alice, by=proofs)
    assert [needs_reauthentication(weak.post(*way)) for way in ways.items()] == [True, True]

    # A second factor, however old, is enough.
    strong = signed_in(alice, by=STRONG[0])
    clock.advance(minutes=20)
    assert strong.post("/accounts/sessions/", ways["/accounts/sessions/"]).status_code == 302
    assert not LoginSession.objects.filter(pk=owners.pk, ended_at=None).exists()


def by_mailed_code():
    """Return the tokens that the password and a mailed code give."""
    mail_for(challenge := first_step())
    return second_step(challenge, code_in(mail_to("alice")))


def test_a_mailed_second_step_ends_no_other_session_over_the_api(alice):
    """Withstands a thief with the mailbox."""
    mailed = by_mailed_code()
    own = LoginSession.objects.get().pk
    signed_in(alice)
    owners = LoginSession.objects.exclude(pk=own).get().pk

    ended = [
        call(f"sessions/{pk}/", method="DELETE", token=mailed["access"]) for pk in (owners, own)
    ]

    assert [answer.status for answer in ended] == [401, 204]
    assert ended[0].code == "insufficient_user_authentication"


def test_no_weak_or_old_proof_makes_an_api_key_over_the_api(alice, clock):
    """Withstands a thief with a token.

    The requested keys never expire.
    """
    mailed = by_mailed_code()
    shown = second_step(first_step(), unused_code(alice))

    def make(**credentials):
        answer = call("keys/", {"name": "bot", "expires_at": None}, **credentials)
        return answer.status, answer.code

    too_little = (401, "insufficient_user_authentication")
    assert make(token=mailed["access"]) == too_little
    assert make(token=shown["access"]) == (201, "")
    clock.advance(minutes=10, seconds=1)
    assert make(token=call("token/refresh/", {"refresh": shown["refresh"]})["access"]) == too_little


def test_a_mailed_second_step_makes_no_browser_trusted(alice):
    """Withstands a thief with the mailbox."""
    browser = Client()
    sign_in(browser, "alice")
    browser.post(CHALLENGE, {"mail": "1"})
    browser.post(CHALLENGE, {"code": code_in(mail_to("alice")), "trust": "on"})

    assert is_signed_in(browser)
    assert "trusted" not in browser.cookies


@proves("V8.4.2")
def test_a_copied_staff_cookie_and_the_password_make_no_superuser(clock):
    """Withstands a thief with the password."""
    carol, alice = make_user("carol", is_staff=True, is_superuser=True), make_user("alice")
    thief = signed_in(carol, by=(Method.PASSWORD, Method.TOTP))
    form = f"/admin/accounts/user/{alice.pk}/change/"
    rights = {"is_staff": "on", "is_superuser": "on", "reason": "promoted"}
    clock.advance(minutes=11)

    assert needs_reauthentication(thief.post(form, rights))
    thief.post(REAUTHENTICATE, {"password": PASSWORD})
    assert needs_reauthentication(thief.post(form, rights))

    assert not User.objects.get(pk=alice.pk).is_superuser


def test_the_last_superuser_cannot_be_deactivated_or_demoted():
    """Withstands a member of staff: the next start would make an owner."""
    carol = make_user("carol", is_staff=True, is_superuser=True)
    browser = signed_in(carol, by=(Method.PASSWORD, Method.TOTP))
    form = f"/admin/accounts/user/{carol.pk}/change/"

    for name in ("is_staff", "is_superuser"):
        assert "the last superuser" in browser.post(form, {name: "on", "reason": "left"}).text
    assert act(browser, carol, "deactivate").status_code == 403

    assert User.objects.filter(pk=carol.pk, is_active=True, is_superuser=True).exists()


@pytest.mark.parametrize("how", ["token", "basic"])
def test_a_compromised_password_is_refused_over_the_api(how, monkeypatch):
    """Withstands a thief with the password."""
    alice = make_user("alice", password="password1234")

    if how == "token":
        answer = call("token/", {"username": "alice", "password": "password1234"})
    else:
        answer = call("me/", basic="alice:password1234")

    assert (answer.status, answer.code) == (403, "password_compromised")
    noted = alice.activity.get(kind="sign_in_failed")
    assert (noted.detail, noted.ip) == (Failure.COMPROMISED, "127.0.0.1")


def test_an_email_added_before_the_first_factor_cannot_be_confirmed_after_it():
    """Withstands a thief with the mailbox."""
    alice = make_user("alice")
    browser = signed_in(alice, by=(Method.MAIL,))
    browser.post("/accounts/email/", {"email": "mallory@example.org"})
    assert alice.pending_emails.exists()

    set_up_authenticator(browser)

    assert not alice.pending_emails.exists()
