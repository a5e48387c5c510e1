"""Attacks on second factors over the API."""

import json

from accounts.twofactor.models import Authenticator, Passkey
from accounts.users import services as users
from accounts.users.models import Identity
from tests.support.api import call, get_tokens
from tests.support.api_factors import begin, signed_in
from tests.support.api_passkeys import make, sign_in
from tests.support.passkeys import owner
from tests.support.second_factor import enrolled
from tests.support.second_steps import with_factor
from tests.support.signin import set_up
from tests.support.steps import make_user
from tests.support.webauthn import WRONG_RESPONSES
from tests.support.webauthn import Passkey as Device

NOT_FRESH = (401, "insufficient_user_authentication")


def test_another_persons_factors_are_neither_visible_nor_changed():
    """Withstands another member."""
    alice, passkey = owner()
    enrolled(alice)
    token = signed_in(make_user("mallory"))
    app, key = Authenticator.objects.get(), Passkey.objects.get()

    for kind, row in (("factors/totp", app), ("passkeys", key)):
        for number in (row.pk, 0, 10**30):
            path = f"{kind}/{number}/"
            assert call(path, {"name": "mine"}, method="PATCH", token=token).status == 404
            assert call(path, method="DELETE", token=token).status == 404
    identity = Identity.objects.create(user=alice, issuer="https://op.example", subject="1")
    assert call(f"providers/{identity.pk}/", method="DELETE", token=token).status == 404
    assert call("providers/", token=token)["connected"] == []
    of_profile = get_tokens("mallory", scope="profile:read")["access"]
    assert call("factors/", token=of_profile).short == (403, "insufficient_scope")
    assert call("factors/", token=token)["passkeys"] == []
    assert make(token, passkey).short == (400, "already_there")
    assert {app.name, key.name} == {"Phone"}
    assert sign_in(passkey).status == 200


def test_a_setup_works_for_its_own_session_only():
    alice = make_user("alice")
    make_user("mallory")
    thief, token = signed_in(alice), signed_in(alice)
    setup, code = begin(thief)
    data = {"setup": setup, "code": code}

    for other in (token, get_tokens("mallory")["access"]):
        assert call("factors/totp/", data, token=other).short == (401, "invalid_code")
    for forged in ({"setup": ""}, {"setup": setup[:-4]}, {"setup": "\ud800"}, {"code": code[1:]}):
        answer = call("factors/totp/", data | forged, token=thief)
        assert answer.status in {400, 401}
    assert not Authenticator.objects.exists()


def test_a_registration_works_once_for_its_account_and_not_after_a_change():
    alice = make_user("alice")
    bob = signed_in(make_user("bob"))
    token, device = signed_in(alice), Device()
    options = call("passkeys/registration/", method="POST", token=token).body
    credential = json.loads(device.create(options))

    def add(token, credential=credential):
        return call("passkeys/", {"credential": credential}, token=token)

    assert add(bob).short == (401, "invalid_passkey")
    for why, changes in WRONG_RESPONSES.items():
        if changes.get("kind") != "webauthn.create":
            assert make(token, **changes).short == (401, "invalid_passkey"), why
    assert add(token).status == 201
    assert add(token).short == (401, "invalid_passkey")
    options = call("passkeys/registration/", method="POST", token=token).body
    users.void_proofs_and_links(alice)
    assert add(token, json.loads(Device().create(options))).status == 401
    assert Passkey.objects.count() == 1


def test_a_factor_that_is_required_or_the_last_way_in_cannot_be_removed(settings):
    set_up(settings, second_factor="all")
    alice, _seed = with_factor()
    token, row = signed_in(alice, has_factor=True), Authenticator.objects.get()
    assert call(f"factors/totp/{row.pk}/", method="DELETE", token=token).short == (
        400, "factor_required",
    )  # fmt: skip
    set_up(settings, second_factor="optional")
    bob, passkey = owner("bob", password=None)
    token = sign_in(passkey)["access"]
    path = f"passkeys/{Passkey.objects.get(user=bob).pk}/"
    assert call(path, method="DELETE", token=token).short == (400, "last_way_in")


def test_a_session_from_before_a_promotion_adds_no_first_factor():
    """Staff show the password and the mailbox before they add their first factor."""
    carol = make_user("carol")
    token = signed_in(carol)
    type(carol).objects.update(is_staff=True)

    for path in ("passkeys/registration/", "factors/totp/setup/"):
        assert call(path, method="POST", token=token).short == NOT_FRESH
    for path, body in (
        ("factors/totp/", {"setup": "x", "code": "000000"}),
        ("passkeys/", {"credential": {"id": "x"}}),
    ):
        assert call(path, body, token=token).short == NOT_FRESH
    assert Passkey.objects.count() == Authenticator.objects.count() == 0
