"""Attacks on the API calls that do what people do on pages."""

import re

import pytest
from django.test import Client

from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue
from accounts.oauth.scopes import API_SCOPES
from accounts.sessions.models import LoginSession
from accounts.users.models import PendingSignup, User
from tests.support.api import call, get_tokens, second_step
from tests.support.api_browser import App
from tests.support.api_passkeys import make, sign_in
from tests.support.api_steps import mailed_proof, reset
from tests.support.disputes import NEW, lock
from tests.support.oauth_client import new_app
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    PASSWORD,
    WRONG,
    WRONG_CODE,
    address_of,
    make_staff,
    make_user,
    outbox,
)
from tests.support.webauthn import Passkey

NOT_FRESH = (401, "insufficient_user_authentication")
# What each call needs: recent authentication. ``{email}`` is the id of an address.
ACTS = {
    "add an email": ("POST", "emails/", {"email": "mallory@example.org"}),
    "make an email primary": ("POST", "emails/{email}/primary/", {}),
    "remove an email": ("DELETE", "emails/{email}/", None),
    "change the password": ("POST", "password/change/", {"password": NEW}),
    "set a password": ("POST", "password/set/", {"password": NEW}),
    "change the username": ("POST", "me/username/", {"username": "mallory"}),
    "sign out everywhere else": ("POST", "sessions/others/", {}),
    "turn on emailed codes": ("PATCH", "factors/", {"emailed_codes": True}),
    "set up an app": ("POST", "factors/totp/setup/", {}),
    "add an app": ("POST", "factors/totp/", {"setup": "x", "code": "000000"}),
    "rename an app": ("PATCH", "factors/totp/1/", {"name": "mine"}),
    "remove an app": ("DELETE", "factors/totp/1/", None),
    "replace the recovery codes": ("POST", "factors/recovery-codes/", {}),
    "begin to add a passkey": ("POST", "passkeys/registration/", {}),
    "add a passkey": ("POST", "passkeys/", {"credential": {"id": "x"}}),
    "rename a passkey": ("PATCH", "passkeys/1/", {"name": "mine"}),
    "remove a passkey": ("DELETE", "passkeys/1/", None),
    "disconnect a provider": ("DELETE", "providers/1/", None),
}
# What needs no recent authentication, or less scope.
OTHERS = {
    "delete the account": ("DELETE", "me/", {"username": "alice"}),
    "confirm the recovery codes": ("POST", "factors/recovery-codes/saved/", {"code": "000000"}),
    "end all trust": ("DELETE", "factors/trusted/", None),
    "end trust": ("DELETE", "factors/trusted/1/", None),
}


@pytest.fixture
def alice(clock):
    return make_user("alice")


def do(act, token, alice, **credentials):
    method, path, data = (ACTS | OTHERS)[act]
    row = alice.emails.first().pk
    return call(path.format(email=row), data, method=method, token=token, **credentials)


@proves("V7.5.1", "V10.3.4")
def test_a_credential_is_changed_only_within_ten_minutes_of_authentication(alice, clock, settings):
    """Withstands a thief with a token."""
    set_up(settings, access_token_seconds=3600)
    token = get_tokens()["access"]
    clock.advance(minutes=10, seconds=1)

    for act in ACTS:
        assert do(act, token, alice).short == NOT_FRESH, act
    assert User.objects.get().credential_version == alice.credential_version


def test_no_scope_of_an_app_and_no_weak_proof_changes_a_credential(alice):
    """Withstands a malicious app."""
    for scope in (" ".join(sorted(API_SCOPES)), "read profile:write"):
        token = get_tokens(scope=scope)["access"]
        for act in ACTS:
            assert do(act, token, alice).short == (403, "insufficient_scope"), act

    enrolled(alice)
    User.objects.update(emailed_codes=True)
    challenge = get_tokens()["challenge"]
    call("token/challenge/", {"challenge": challenge, "method": "email"})
    by_mail = second_step(challenge, outbox()[-1].code)["access"]
    for act in ACTS:
        assert do(act, by_mail, alice).short == NOT_FRESH, act


@proves("63B-5.1.2")
def test_an_app_a_script_in_a_page_and_a_password_change_no_credential(alice):
    """Withstands a hostile website.

    A script could have taken the access token, and what it changes would outlive the token.
    """
    scope = "openid profile:write"
    signed_in(alice)
    of_app = new_app(scope=scope).sign_in(LoginSession.objects.get(user=alice), scope)
    of_page = App().sign_in()

    for act in (ACTS | OTHERS).keys() - {"sign out everywhere else"}:
        for token, code in (
            (of_app["access_token"], "not_for_apps"),
            (of_page["access"], "not_for_pages"),
        ):
            answer = do(act, token, alice)
            assert answer.short == (403, code), act
            assert answer["url"].startswith("http://localhost:8000/accounts/")
        if act != "delete the account":
            assert do(act, "", alice, basic=f"alice:{PASSWORD}").short == NOT_FRESH, act
    assert User.objects.get().deletion_due is None


def test_the_email_of_another_person_is_not_found(alice):
    mallory = get_tokens(make_user("mallory").username)["access"]
    owner = get_tokens()["access"]
    pending = call("emails/", {"email": "alice@example.net"}, token=owner)["id"]
    code = outbox()[-1].code

    for row in (alice.emails.get().pk, pending, "9" * 400, "-", "x" * 36):
        for method, path, data in (
            ("DELETE", f"emails/{row}/", None),
            ("POST", f"emails/{row}/confirm/", {"code": code}),
            ("POST", f"emails/{row}/primary/", {}),
        ):
            assert call(path, data, method=method, token=mallory).short == (404, "not_found")
    assert len(call("emails/", token=owner)["results"]) == 2


def test_adding_a_taken_email_over_the_api_looks_like_a_free_one(alice):
    mallory = get_tokens(make_user("mallory").username)["access"]

    taken, free = (
        call("emails/", {"email": email}, token=mallory)
        for email in (address_of("alice"), "nobody@example.org")
    )

    bodies = [
        re.sub(r"[0-9a-f-]{36}|\w+@[\w.]+", "", answer.content.decode()) for answer in (taken, free)
    ]
    assert taken.status == free.status == 201
    assert bodies[0] == bodies[1]
    assert (
        "tried to add" in next(mail for mail in outbox() if mail.to == address_of("alice")).subject
    )


def test_the_primary_email_cannot_be_removed_over_the_api(alice):
    token = get_tokens()["access"]

    for answer in (do("remove an email", token, alice), do("make an email primary", token, alice)):
        assert answer.short == (400, "not_possible")
    assert call("emails/", {"email": address_of("alice")}, token=token).code == "own_address"


RESET = "password/reset/"
ASK = ("login/code/", RESET)
CONFIRM = {"login/code/": "login/code/confirm/", "password/reset/": "password/reset/check/"}


def use(path, challenge, code):
    return call(CONFIRM[path], {"challenge": challenge, "code": code})


@proves("V6.6.2")
@pytest.mark.parametrize("path", ASK)
def test_a_mailed_code_works_only_with_the_challenge_of_its_own_request(alice, path):
    """Withstands a thief with the mailbox.

    A thief who sees the code that the owner has asked for has another challenge.
    """
    owners = call(path, {"username": "alice"})["challenge"]
    code, mail = outbox()[-1].code, OutgoingMail.objects.latest("created_at")
    assert ([*outbox()[-1].facts[-1]], mail.queue) == (["Valid for", "10 minutes"], Queue.CODES)
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    thiefs = call(path, {"username": "alice"}, client=elsewhere)["challenge"]
    of_other_purpose = call(ASK[1 - ASK.index(path)], {"username": "alice"})["challenge"]

    for challenge in (thiefs, of_other_purpose, owners[:-1], "gAAAAA", "\0", "x" * 2001):
        assert use(path, challenge, code).status == 400, challenge
    assert use(path, owners, code).status == 200


@proves("V6.5.5", "V6.6.3")
@pytest.mark.parametrize("path", ASK)
@pytest.mark.parametrize("tries, minutes", [(5, 0), (0, 10)])
def test_a_mailed_code_allows_five_tries_and_ten_minutes(alice, clock, path, tries, minutes):
    """Withstands a guesser."""
    challenge = call(path, {"username": "alice"})["challenge"]
    wrong = [use(path, challenge, WRONG_CODE).short for _ in range(tries)]
    clock.advance(minutes=minutes)

    assert {*wrong, use(path, challenge, outbox()[-1].code).short} == {(400, "invalid_code")}


@pytest.mark.parametrize("path", ASK)
def test_strangers_cannot_keep_codes_from_the_program_with_which_a_person_signs_in(alice, path):
    """Withstands a flood.

    Programs have no cookie of a known browser, whose budgets strangers do not use up.
    """

    def codes_after(**where):
        assert call(path, {"username": "alice"}, client=Client(**where)).status == 202
        return len([mail for mail in outbox() if mail.code and mail.to])

    get_tokens(client=Client(REMOTE_ADDR="192.0.2.7"))
    sent = [codes_after(REMOTE_ADDR=f"198.51.{line}.7") for line in range(6)]
    assert sent == [1, 2, 3, 4, 4, 4]

    assert codes_after(REMOTE_ADDR="192.0.2.7") == 5
    assert codes_after(REMOTE_ADDR="203.0.113.7") == 5


def test_a_program_signs_in_without_the_password_that_strangers_guess_at(alice):
    """Withstands a guesser.

    Programs have no cookie, and their network would tell where the account is used.
    """
    passkey, here = Passkey(), Client(REMOTE_ADDR="192.0.2.7")
    get_tokens(client=here)
    for line in range(4):
        stranger = Client(REMOTE_ADDR=f"198.51.{line}.7")
        for _ in range(5):
            call("token/", {"username": "alice", "password": WRONG}, client=stranger)

    assert get_tokens(client=here).short == (429, "throttled")
    challenge = call("login/code/", {"username": "alice"}, client=here)["challenge"]
    proof = {"challenge": challenge, "code": outbox()[-1].code}
    by_mail = call("login/code/confirm/", proof, client=here)
    assert make(by_mail["access"], passkey).status == 201
    assert sign_in(passkey).status == 200


def token_in_mail():
    return outbox()[-1].action_url.split("/")[-2]


def test_a_locked_account_is_not_opened_by_a_code_or_link_over_the_api(alice):
    """Withstands a thief with the mailbox."""
    lock(alice)
    proof = mailed_proof(RESET)

    for answer in (reset(**proof), reset(token=token_in_mail())):
        assert answer.short == (403, "recovery_required")
        assert answer["url"] == "http://localhost:8000/accounts/password/reset/"
    assert User.objects.get().is_locked_down


def test_the_mailbox_alone_resets_no_password_of_staff_over_the_api(clock):
    """Withstands a thief with the mailbox."""
    carol = make_staff("carol", has_factor=False)

    assert reset(**mailed_proof(RESET, username="carol")).short == (403, "recovery_required")
    assert User.objects.get().password == carol.password


def test_a_reset_over_the_api_limits_guesses_at_the_second_factor(alice):
    """The link has no five tries of its own: the limits of the account count."""
    seed = enrolled(alice)
    mailed_proof(RESET)
    token = token_in_mail()

    guesses = [reset(token=token, factor_code=f"00000{n}").short for n in range(6)]

    assert guesses == [(401, "invalid_code")] * 5 + [(429, "throttled")]
    assert reset(token=token, factor_code=code_of(seed)).code == "throttled"
    assert User.objects.get().password == alice.password


def test_a_reset_code_is_void_after_a_change_of_the_email_addresses(alice):
    """Otherwise somebody with a former mailbox could use a code that was sent before."""
    proof, token = mailed_proof(RESET), get_tokens()["access"]
    row = call("emails/", {"email": "alice@example.net"}, token=token)["id"]
    call(f"emails/{row}/confirm/", {"code": outbox()[-1].code}, token=token)

    assert reset(**proof).short == (400, "invalid_code")


def test_an_emailed_code_does_not_keep_an_account_that_will_be_deleted(alice):
    """Withstands a thief with the mailbox."""
    token = get_tokens()["access"]
    call("me/", {"username": "alice"}, method="DELETE", token=token)
    challenge = call("login/code/", {"username": "alice"})["challenge"]
    code = next(mail.code for mail in reversed(outbox()) if mail.code)

    assert use("login/code/", challenge, code).short == (403, "deletion_requested")
    assert User.objects.get().deletion_due


def sign_up(name, email):
    return call("users/", {"username": name, "email": email, "password": PASSWORD})


def correct(name, email, password=PASSWORD):
    return call("email/correct/", {"username": name, "email": email, "password": password})


def test_only_the_password_of_a_sign_up_corrects_its_address(clock):
    """Withstands an impostor."""
    sign_up("alice", "alcie@example.org")

    wrong = correct("alice", "mallory@example.org", WRONG)
    unknown = correct("nobody", "mallory@example.org")
    by_email = correct("alcie@example.org", "mallory@example.org")

    assert {wrong.short, unknown.short} == {(401, "invalid_credentials")}
    assert by_email.status in {400, 401}
    assert PendingSignup.objects.get().email == "alcie@example.org"
    guesses = [correct("alice", "mallory@example.org", WRONG).short for _ in range(6)]
    assert guesses[-1] == (429, "throttled"), "as at a sign-in"


def test_a_correction_does_not_tell_whether_the_password_of_an_account_is_right(alice):
    """Withstands a guesser.

    Its owner would not hear of it, as of a sign-in.
    """
    right, wrong = (correct("alice", "a@example.net", typed) for typed in (PASSWORD, WRONG))

    assert (right.short, right.body) == ((401, "invalid_credentials"), wrong.body)
    guesses = [correct("alice", "a@example.net").short for _ in range(6)]
    assert guesses[-1] == (429, "throttled"), "a right password counts as a wrong one"


def test_the_id_of_a_sign_up_corrects_its_address_only_without_a_password(clock):
    """The ID is in the URL that the sign-up has returned, and may be in a log."""
    kept = sign_up("alice", "alcie@example.org")["id"]
    keyed = {"username": "bob", "email": "bbo@example.org", "passkey": True}
    corrected = call("users/", keyed)["id"]

    refused = call("email/correct/", {"id": kept, "email": "mallory@example.org"})

    assert refused.short == (400, "signup_ended")
    assert call("email/correct/", {"id": corrected, "email": address_of("bob")}).status == 200
    assert call("email/correct/", {"email": address_of("bob")}).status == 400
    emails = PendingSignup.objects.order_by("username_key").values_list("email", flat=True)
    assert list(emails) == ["alcie@example.org", address_of("bob")]


def test_a_correction_to_a_taken_address_looks_like_one_to_a_free_address(alice, clock):
    """Withstands a spy."""
    answers = []
    for name, email in (("one", address_of("alice")), ("two", "nobody@example.org")):
        sign_up(name, f"{name}@example.net")
        answers.append(correct(name, email))

    assert [(answer.status, answer.body) for answer in answers] == [(200, None)] * 2
    notice = [mail for mail in outbox() if mail.to == address_of("alice")][-1]
    assert (notice.code, "already have an account" in notice.subject) == ("", True)
