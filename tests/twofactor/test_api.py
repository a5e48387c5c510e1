"""What people do with second factors, over the API alone."""

from accounts.sessions.models import LoginSession
from accounts.twofactor import passkeys
from accounts.twofactor.models import RecoveryCodes
from accounts.twofactor.services import devices
from tests.support.api import call, claims_of, get_tokens, is_good, second_step
from tests.support.api_factors import add_app, signed_in
from tests.support.api_passkeys import make, sign_in
from tests.support.api_steps import mailed_proof
from tests.support.second_steps import trusting_browser, with_factor
from tests.support.steps import make_user, outbox
from tests.support.webauthn import Passkey


def test_an_app_is_added_used_renamed_and_removed_and_other_sessions_end():
    alice = make_user("alice")
    other, token = signed_in(alice), signed_in(alice)
    of_bob = signed_in(make_user("bob"))
    add_app(of_bob)

    added = add_app(token)

    assert (added.status, added["name"], len(added["recovery_codes"])) == (201, "Phone", 10)
    assert (is_good(token), is_good(other)) == (True, False)
    assert call("keys/", token=token).status == 200, "the app was shown just now"
    assert not call("factors/", token=token)["are_codes_saved"]
    assert call("factors/recovery-codes/saved/", {"code": "0"}, token=token).fields == ["code"]
    saved = {"code": added["recovery_codes"][0].upper()}
    assert call("factors/recovery-codes/saved/", saved, token=token).status == 204
    challenge = get_tokens()["challenge"]
    assert second_step(challenge, added["recovery_codes"][0]).status == 200

    path = f"factors/totp/{added['id']}/"
    assert call(path, {"name": "Old phone"}, method="PATCH", token=token)["name"] == "Old phone"
    shown = call("factors/", token=token).body
    assert [app["name"] for app in shown["authenticators"]] == ["Old phone"]
    assert (shown["recovery_codes"], shown["are_codes_saved"]) == (9, True)
    assert not call("factors/", token=of_bob)["are_codes_saved"]
    assert call(path, method="DELETE", token=token).status == 204
    assert not RecoveryCodes.objects.filter(user=alice).exists()
    assert get_tokens().status == 200
    told = [mail.subject for mail in outbox() if mail.to == alice.email]
    assert {"An authenticator app was added", "An authenticator app was removed"} <= {*told}
    rows = alice.activity.filter(kind__startswith="factor_").values_list("kind", "detail", "proof")
    changes = [(f"factor_{act}", "Old phone", "pwd otp") for act in ("renamed", "removed")]
    assert {*rows} == {("factor_added", "Phone", "otp"), *changes}


def test_changes_of_factors_are_limited_together_with_changes_of_the_profile(clock):
    """Each adds an event to the history, and some an email."""
    token = signed_in(make_user("alice"))
    path = f"factors/totp/{add_app(token)['id']}/"

    def change(path, **data):
        return call(path, data, method="PATCH", token=token).status

    assert call("factors/recovery-codes/", {}, token=token).status == 201
    assert change("factors/", emailed_codes=True) == change("me/", about="x") == 200
    assert [change(path, name=str(n)) for n in range(28)] == [200] * 27 + [429]


def test_alice_signs_up_with_a_passkey_and_no_password(clock):
    email, passkey = "alice@example.org", Passkey()
    assert call("users/", {"username": "alice", "email": email, "passkey": True}).status == 201
    for wrong in (False, "false", None, 1, "true"):
        fields = {"username": "bob", "email": "bob@example.org", "passkey": wrong}
        assert "password" in call("users/", fields).body
    code = outbox()[-1].code
    assert call("email/verify/", {"email": email, "username": "alice", "code": code}).status == 200
    assert get_tokens().short == (401, "invalid_credentials")

    token = call("login/code/confirm/", mailed_proof("login/code/"))["access"]
    assert len(make(token, passkey)["recovery_codes"]) == 10

    assert claims_of(sign_in(passkey)["access"])["amr"] == ["passkey"]


def test_a_passkey_is_added_and_signs_in_and_a_second_one_brings_no_new_codes():
    alice, passkey = make_user("alice"), Passkey()
    token = signed_in(alice)

    made = {"response": {"transports": ["usb", "carrier pigeon"]}}
    added, second = make(token, passkey, **made), make(token)

    assert (added.status, added["name"], len(added["recovery_codes"])) == (201, "Laptop", 10)
    assert (second.status, second["recovery_codes"]) == (201, [])
    assert sign_in(passkey).status == 200
    shown = call("factors/", token=token)["passkeys"]
    assert [row["id"] for row in shown] == [added["id"], second["id"]]
    assert (shown[0]["credential_id"], shown[0]["is_confirmed"]) == (passkey.id, True)
    assert passkeys.options_to_add(alice)["excludeCredentials"][0]["transports"] == ["usb"]
    path = f"passkeys/{second['id']}/"
    assert call(path, {"name": "Key"}, method="PATCH", token=token)["name"] == "Key"
    assert [row.name for row in devices(alice)][:2] == ["Laptop", "Key"]
    assert call(path, method="DELETE", token=token).status == 204
    assert call(path, method="DELETE", token=token).status == 404


def test_recovery_codes_are_replaced_and_emailed_codes_turned_on():
    alice, _seed = with_factor(emailed_codes=False)
    token = signed_in(alice, has_factor=True)

    old = call("factors/recovery-codes/", method="POST", token=token)["recovery_codes"]
    new = call("factors/recovery-codes/", method="POST", token=token)["recovery_codes"]

    challenge = get_tokens()["challenge"]
    assert second_step(challenge, old[0]).code == "invalid_code"
    assert second_step(challenge, new[0]).status == 200
    assert call("factors/", token=token)["emailed_codes"] is False
    assert call("factors/", {"emailed_codes": True}, method="PATCH", token=token).status == 200
    assert "email" in get_tokens()["methods"]


def test_without_a_factor_there_are_no_codes_to_make_or_to_email():
    token = signed_in(make_user("alice"))

    assert call("factors/", token=token)["emailed_codes"] is None
    assert call("factors/recovery-codes/", method="POST", token=token).code == "no_factor"
    refused = call("factors/", {"emailed_codes": True}, method="PATCH", token=token)
    assert (refused.status, refused.fields) == (400, ["emailed_codes"])


def test_the_trust_in_browsers_ends_one_by_one_or_at_once(clock):
    alice, _seed = with_factor()
    for _ in range(3):
        trusting_browser(alice)
        clock.advance(seconds=30)
    token = signed_in(alice, has_factor=True)
    clock.advance(minutes=4)
    first = call("factors/", token=token)["trusted_browsers"][0]["id"]

    assert call(f"factors/trusted/{first}/", method="DELETE", token=token).status == 204
    assert call(f"factors/trusted/{first}/", method="DELETE", token=token).status == 404
    assert len(call("factors/", token=token)["trusted_browsers"]) == 2
    assert call("factors/trusted/", method="DELETE", token=token).status == 204
    assert call("factors/", token=token)["trusted_browsers"] == []
    ended = alice.activity.filter(kind="trust_ended").values_list("detail", "proof")
    assert [*ended] == [("Firefox on Linux", "pwd otp")] * 3
    assert LoginSession.objects.filter(user=alice, ended_at=None).count() == 4
