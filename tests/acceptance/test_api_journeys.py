"""What people do on pages, done over the API alone."""

import pytest

from tests.support.api import Answer, call, claims_of, get_tokens, is_good, renew, second_step
from tests.support.api_browser import App
from tests.support.api_steps import mailed_proof, reset
from tests.support.disputes import NEW
from tests.support.invitations import invite, invited_link, superuser
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import SIGNED_UP, set_up, signed_in
from tests.support.steps import PASSWORD, address_of, make_user, outbox


@pytest.fixture
def alice(clock):
    return make_user("alice")


def emails_of(token: str) -> dict[str, dict]:
    return {row["email"]: row for row in call("emails/", token=token)["results"]}


def done(answer: Answer) -> Answer:
    assert answer.status in {200, 201, 202, 204}, answer
    return answer


def test_alice_adds_an_email_makes_it_primary_and_removes_the_former_one(token, clock):
    new, old = "alice@example.net", "alice@example.org"
    pending = done(call("emails/", {"email": " Alice@Example.net "}, token=token))
    assert (pending["email"], pending["confirmed_at"]) == ("Alice@example.net", None)
    clock.advance(minutes=1)
    again = done(call("emails/", {"email": new}, token=token))
    assert list(emails_of(token)) == [old, new]

    code = outbox()[-1].code
    row = done(call(f"emails/{again['id']}/confirm/", {"code": code}, token=token))
    assert row["confirmed_at"]
    assert not row["is_primary"]
    assert done(call(f"emails/{row['id']}/primary/", {}, token=token))["is_primary"]
    done(call(f"emails/{emails_of(token)[old]['id']}/", method="DELETE", token=token))

    assert call("me/", token=token)["email"] == new
    assert [row["is_primary"] for row in emails_of(token).values()] == [True]
    told = {mail.to for mail in outbox() if "was removed" in mail.subject}
    assert told == {old, new}


def test_alice_cancels_an_email_that_she_has_mistyped(token):
    row = done(call("emails/", {"email": "alcie@example.net"}, token=token))

    done(call(f"emails/{row['id']}/", method="DELETE", token=token))

    assert list(emails_of(token)) == ["alice@example.org"]
    assert call(f"emails/{row['id']}/", method="DELETE", token=token).status == 404


def test_alice_resets_a_forgotten_password_by_the_emailed_code(alice, token):
    proof = mailed_proof("password/reset/", email=address_of("alice"))

    assert call("password/reset/check/", proof).body == {"username": "alice"}
    assert reset(**proof, password="short").body.keys() >= {"password"}
    assert reset(**proof, password="alice@example.org").status == 400
    assert reset(**proof).body == {"username": "alice"}

    assert not is_good(token), "every session has ended"
    assert reset(**proof).short == (400, "invalid_code")
    assert get_tokens().code == "invalid_credentials"
    assert call("token/", {"username": "alice", "password": NEW}).status == 200
    assert "was reset" in " ".join(mail.subject for mail in outbox())


def test_alice_resets_her_password_by_the_link_of_the_email_in_an_app(alice):
    mailed_proof("password/reset/")
    token = outbox()[-1].action_url.split("/")[-2]

    assert call("password/reset/check/", {"token": token})["username"] == "alice"
    assert reset(token=token).status == 200
    answer = call("password/reset/check/", {"token": token})
    assert answer.short == (400, "invalid_code")


def test_a_reset_asks_for_the_second_factor(alice):
    seed = enrolled(alice)
    proof = mailed_proof("password/reset/")

    asked = reset(**proof)
    assert asked.short == (401, "second_factor_required")
    assert asked["methods"] == ["totp"]
    assert reset(**proof, factor_code="000000").short == (401, "invalid_code")
    assert reset(**proof, factor_code=code_of(seed)).status == 200
    assert call("token/", {"username": "alice", "password": NEW}).code == "second_factor_required"


def test_alice_changes_her_password_and_stays_signed_in_only_there(alice, token):
    elsewhere = get_tokens()
    here = get_tokens()

    answer = call("password/change/", {"password": NEW}, token=here["access"])

    assert answer.status == 204
    assert is_good(here["access"])
    assert renew(here["refresh"]).status == 200
    assert not is_good(elsewhere["access"])
    assert call("password/set/", {"password": NEW}, token=here["access"]).code == "not_possible"


def test_alice_sets_a_first_password(clock):
    make_user("alice", password=None)
    token = sign_in_by_code()["access"]

    assert call("password/change/", {"password": NEW}, token=token).code == "not_possible"
    assert call("password/set/", {"password": "password1234"}, token=token).status == 400
    assert call("password/set/", {"password": NEW}, token=token).status == 204
    assert call("token/", {"username": "alice", "password": NEW}).status == 200


def sign_in_by_code(**more: str) -> Answer:
    return call("login/code/confirm/", mailed_proof("login/code/") | more)


def test_alice_signs_in_with_an_emailed_code(alice):
    tokens = sign_in_by_code(scope="profile:read")

    assert tokens["scope"] == "profile:read"
    assert claims_of(tokens["access"])["amr"] == ["mail"]
    assert call("me/", token=tokens["access"])["username"] == "alice"


def test_a_page_in_a_browser_signs_in_with_an_emailed_code(alice):
    app = App()
    challenge = app.call("login/code/", {"username": "alice"})["challenge"]

    answer = app.call("session/code/", {"challenge": challenge, "code": outbox()[-1].code})

    assert answer.body.keys() == {"access", "token_type", "expires_in", "scope"}
    assert app.renew().status == 200


def test_a_sign_in_with_an_emailed_code_asks_for_the_second_factor(alice):
    seed = enrolled(alice)

    asked = sign_in_by_code()

    assert asked.short == (401, "second_factor_required")
    assert asked["methods"] == ["totp"], "not another code by email"
    tokens = second_step(asked["challenge"], code_of(seed))
    assert claims_of(tokens["access"])["amr"] == ["mail", "otp"]


def test_the_terms_are_accepted_with_the_emailed_code(alice, settings):
    set_up(settings, terms_url="https://example.org/terms", terms_version="2")
    data = mailed_proof("login/code/")

    assert call("login/code/confirm/", data).code == "terms_required"
    assert call("login/code/confirm/", data | {"terms": "2"}).status == 200


def test_alice_changes_her_username(alice, token):
    assert call("me/username/", {"username": "alice"}, token=token).code == "same_name"
    make_user("bob")
    assert "username" in call("me/username/", {"username": "bob"}, token=token).body

    assert call("me/username/", {"username": "alicia"}, token=token)["username"] == "alicia"

    assert call("me/", token=token)["username"] == "alicia"
    assert call("me/username/", {"username": "alix"}, token=token).short == (429, "throttled")


def test_alice_signs_out_everywhere_else_and_keeps_a_key(alice, token):
    others = [get_tokens() for _ in range(2)]
    kept, ended = (call("keys/", {"name": "bot"}, token=each["access"]).body for each in others)

    answer = call("sessions/others/", {"keep_keys": [kept["id"]]}, token=token)

    assert answer.body == {"count": 2}
    assert [is_good(each["access"]) for each in others] == [False, False]
    assert [call("me/", token=key["key"]).status for key in (kept, ended)] == [200, 401]
    assert is_good(token)


def test_alice_lists_and_forgets_her_browsers(alice, token):
    signed_in(alice, by=SIGNED_UP)
    (row,) = call("browsers/", token=token)["results"]

    done(call(f"browsers/{row['id']}/", method="DELETE", token=token))

    assert call("browsers/", token=token)["results"] == []
    assert call(f"browsers/{row['id']}/", method="DELETE", token=token).status == 404


def test_a_program_measures_a_password():
    weak = call("password/strength/", {"password": "password1234", "words": ["alice"]})
    assert (weak["score"], weak["advice"] != "") == (0, True)
    assert call("password/strength/", {"password": NEW}).body["score"] == 4


def test_alice_corrects_the_address_of_her_sign_up(clock):
    alice = {"username": "alice", "password": PASSWORD}
    done(call("users/", {**alice, "email": "alcie@example.org"}))
    first = outbox()[-1].code

    done(call("email/correct/", {**alice, "email": address_of("alice")}))

    mail = outbox()[-1]
    assert mail.to == address_of("alice")
    verify = {"email": address_of("alice"), "username": "alice"}
    assert call("email/verify/", {**verify, "code": first}).code == "invalid_code"
    done(call("email/verify/", {**verify, "code": mail.code}))
    assert call("me/", token=get_tokens()["access"])["email"] == address_of("alice")
    assert call("email/correct/", {**alice, "email": "a@b.example"}).code == "invalid_credentials"


def test_dave_signs_up_by_invitation(clock, settings):
    """Withstands an impostor: an invitation creates several accounts."""
    set_up(settings, signup="invite")
    invite(superuser()[1])
    token = {"token": invited_link().split("/")[-2]}

    assert call("invitation/check/", token).body == {"email": address_of("dave")}
    account = {"username": "dave", "password": NEW}
    for field, bad in (("password", "dave@example.org"), ("username", "carol")):
        assert field in call("invitation/accept/", token | account | {field: bad}).body
    made = done(call("invitation/accept/", token | account))

    assert made.headers["Location"].endswith(f"/api/v1/users/{made['id']}/")
    tokens = call("token/", account)
    assert call("me/", token=tokens["access"])["email"] == address_of("dave")
    for path, data in (
        ("invitation/check/", {}),
        ("invitation/accept/", account | {"username": "dave2"}),
    ):
        assert "token" in call(path, token | data).body


def test_a_program_learns_what_the_site_offers(settings):
    set_up(settings, signup="invite", terms_url="https://example.org/terms", terms_version="2")

    shown = call("config/").body

    assert shown["signup"] == "invite"
    assert shown["terms"] == {"url": "https://example.org/terms", "version": "2"}
    assert shown["password"] == {"min": 12, "max": 1024}
