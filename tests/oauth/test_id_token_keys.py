"""The keys that sign ID tokens: when the site gets one, and who publishes it."""

from datetime import timedelta

import jwt
import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth.clients import metadata
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.tokens import keyring
from accounts.tokens.models import SigningKey
from tests.support.apps import WEB
from tests.support.authorize import address, result
from tests.support.oauth_client import browser_of, new_app
from tests.support.registration import VALID
from tests.support.signin import set_up
from tests.support.signing import published
from tests.support.steps import make_user, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def algorithms():
    return [row.algorithm for row in SigningKey.objects.order_by("number")]


def test_a_site_without_apps_has_no_key_for_id_tokens(clock):
    for _day in range(3):
        keyring.signer()
        clock.advance(days=1)

    assert algorithms() == ["ES256"]
    assert keyring.can_sign()


def test_registering_the_first_app_makes_and_publishes_the_key():
    """Withstands an accident."""
    keyring.signer()

    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())

    assert algorithms() == ["ES256", "RS256"]
    assert keyring.signer("RS256").kid in published()
    clients.create(Client(name="Wiki", redirect_uris=[WEB]), Actor())
    assert algorithms() == ["ES256", "RS256"]


def test_a_process_publishes_a_key_that_another_process_signs_with_at_once(clock):
    """Withstands a race."""
    keyring.signer()
    before = published()
    other_process = keyring._cache
    keyring._cache = keyring._Cache()
    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())
    kid = keyring.signer("RS256").kid
    keyring._cache = other_process
    clock.advance(seconds=5)

    assert published() == [*before, kid]


def test_no_app_refuses_an_id_token_while_two_processes_replace_their_keys(clock):
    """The app uses copies of the keys that are five minutes old, from either process."""
    app, alice = new_app(), browser_of(make_user("alice"))
    alice.ends_at = alice.idle_at = clock.now() + timedelta(days=200)
    alice.save()
    processes, copies, used = [keyring._Cache(), keyring._Cache()], [], set()
    for minute in range(60):
        # The keys are 90 days old in the middle.
        clock.advance(days=90, minutes=-30) if minute == 1 else clock.advance(minutes=1)
        for process in processes:
            keyring._cache = process
            copies = [*copies[-10:], published()]
            kid = jwt.get_unverified_header(app.sign_in(alice, "openid")["id_token"])["kid"]
            assert minute < 7 or kid in copies[0]
            used.add(kid)
    assert len(used) == 2


def test_an_app_gets_the_usual_algorithm_when_the_site_uses_its_own_no_more(clock, settings):
    """Withstands an operator's mistake.

    Otherwise the missing key would also stop the logout notices to other apps.
    """
    bank = new_app("Bank", id_token_algorithm="ES256")
    set_up(settings, token_algorithm="EdDSA")
    for _hour in range(9):
        clock.advance(hours=1)
        keyring.signer()
        keyring.prune()
        keyring.forget()
    token = bank.sign_in(browser_of(make_user("alice")), "openid")["id_token"]
    assert jwt.get_unverified_header(token)["alg"] == "RS256"


def test_hints_of_a_session_of_thirty_days_outlive_their_key(clock):
    bye = "https://paperless.example.org/bye"
    app, alice = new_app(is_first_party=True, logout_uris=[bye]), make_user("alice")
    here = Browser()
    sign_in(here, "alice", remember="on")
    hint = app.sign_in(alice.login_sessions.get(is_remembered=True), "openid")["id_token"]
    key = SigningKey.objects.filter(kid=jwt.get_unverified_header(hint)["kid"])
    keyring.rotate()

    for _day in range(29):
        clock.advance(days=1)
        keyring.prune()

    assert key.get().kid not in published()
    assert key.get().private == ""
    asked = address(app.client, id_token_hint=hint, prompt="none")
    assert "code" in result(here.get(asked))
    request = {"id_token_hint": hint, "post_logout_redirect_uri": bye}
    stored = here.get("/oauth/logout", request)["Location"]
    assert here.get(stored)["Location"] == bye
    assert here.get("/").status_code == 302
    # No session from the time of the key lives now.
    keyring.prune()
    keyring.forget()
    assert not key.exists()
    sign_in(here, "alice")
    assert result(here.get(asked))["error"] == "invalid_request"


def test_an_app_that_names_an_algorithm_which_the_site_does_not_use_gets_that_of_the_site(settings):
    def stored(name):
        member = {"id_token_signed_response_alg": name}
        return metadata.read(VALID | member, ["openid"]).id_token_algorithm

    assert [stored(name) for name in ("ES256", "RS256", "none")] == ["ES256", "", ""]
    set_up(settings, token_algorithm="EdDSA")
    keyring.forget()
    assert stored("ES256") == ""
