"""Signing in on a device without a browser, by a code that is typed in here (RFC 8628)."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from accounts.oauth.clients.models import Client
from accounts.oauth.models import DeviceAuthorization
from accounts.sessions.models import LoginSession
from tests.support.api import claims_of
from tests.support.devices import PAGE, ask, let_in, new_device, poll, type_code
from tests.support.oauth_client import new_app, set_client
from tests.support.signin import signed_in
from tests.support.steps import mail_to

pytestmark = pytest.mark.django_db


def test_a_device_gets_tokens_after_a_person_has_typed_its_code_and_agreed(browser, alice):
    app, codes = new_device("openid offline_access")
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    assert codes["verification_uri"] == f"http://localhost:8000{PAGE}"
    assert codes.headers["Cache-Control"] == "no-store"
    assert poll(app, codes).error == "authorization_pending"

    page = let_in(browser, codes)

    assert "Go back to your device" in page.text
    answer = poll(app, codes)
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["client_id"]) == (str(alice.pk), app.client.pk)
    session = LoginSession.objects.get(pk=claims["sid"])
    assert (session.ip, str(session.device)) == ("198.51.100.7", "curl")
    assert app.refresh(answer["refresh_token"]).status == 200


def test_the_page_says_which_app_on_which_device_asks_from_where_and_for_what(browser):
    fields = {"is_verified": False, "homepage": "https://terminal.example.org/about"}
    codes = new_device("openid email offline_access", **fields)[1]

    text = type_code(browser, codes["user_code"]).text

    for words in (
        *("Sign in to <bdi>Terminal</bdi>", "<bdi>terminal.example.org</bdi>", "Not verified"),
        *("<bdi>curl</bdi>", "198.51.100.7", "It’s on a different network from this browser."),
        *("your email address", "stay connected after you sign out here"),
        *("If someone sent you the code", "Any program can claim to be <bdi>Terminal</bdi>"),
    ):
        assert words in text


def test_no_host_is_shown_that_an_app_which_has_registered_itself_has_claimed(browser):
    fields = {"homepage": "https://shop.example.org", "source": Client.Source.REGISTRATION}
    for uris in ([], ["https://shop.example.org/callback"]):
        codes = new_device(redirect_uris=uris, is_verified=False, **fields)[1]
        text = type_code(browser, codes["user_code"]).text
        assert "Not verified" in text
        assert "<bdi>shop.example.org</bdi>" not in text


def test_a_person_who_refuses_ends_the_request(browser):
    app, codes = new_device()

    assert "You’ve refused" in let_in(browser, codes, "cancel").text

    assert poll(app, codes).error == "access_denied"
    assert "No device is waiting" in type_code(browser, codes["user_code"]).text


@pytest.mark.parametrize("change", [str.lower, lambda code: f" {code.replace('-', ' ')}. "])
def test_the_case_of_a_code_and_what_separates_its_letters_do_not_matter(browser, change):
    codes = new_device()[1]

    assert "Sign in to" in type_code(browser, change(codes["user_code"])).text


def test_codes_end_after_ten_minutes_and_are_pruned(browser, alice, clock):
    app, codes = new_device()
    page = type_code(browser, codes["user_code"])
    clock.advance(minutes=10)

    assert poll(app, codes).error == "expired_token"
    assert browser.get(page.wsgi_request.path).status_code == 400
    assert "No device is waiting" in type_code(signed_in(alice), codes["user_code"]).text
    clock.advance(hours=1)
    call_command("prune")
    assert not DeviceAuthorization.objects.exists()
    assert poll(app, codes).error == "invalid_grant"


def test_a_device_that_asks_too_often_must_wait_five_seconds_longer(clock):
    app, codes = new_device()
    answers = [poll(app, codes).error]
    for seconds in (4, 9, 10, 14, 15):
        clock.advance(seconds=seconds)
        answers.append(poll(app, codes).error)

    pending, slow = "authorization_pending", "slow_down"
    assert answers == [pending, slow, slow, slow, slow, slow]
    clock.advance(seconds=30)
    assert poll(app, codes).error == pending
    for _ in range(50):
        poll(app, codes)
    assert DeviceAuthorization.objects.get().interval == 60


def test_the_history_and_an_email_tell_of_each_device(browser, alice):
    app, codes = new_device()
    let_in(browser, codes)
    let_in(browser, ask(app))

    rows = alice.activity.filter(kind__in=["device_connected", "app_connected"])
    assert [(row.kind, row.detail) for row in rows] == [
        ("device_connected", "Terminal, 198.51.100.7")
    ] * 2
    assert mail_to("alice").subject == "A device was connected to your account"


def test_a_device_gets_nothing_of_people_who_lack_what_the_app_requires(browser):
    app, codes = new_device(required_group=Group.objects.create(name="Editors"))

    page = type_code(browser, codes["user_code"])

    assert (page.status_code, "You can’t sign in to" in page.text) == (403, True)
    assert poll(app, codes).error == "authorization_pending"
    browser.post(page.wsgi_request.path, {"act": "cancel"})
    assert poll(app, codes).error == "access_denied"


def test_only_apps_that_are_registered_for_devices_get_codes():
    app, codes = new_device()
    web = new_app(is_public=True)

    assert ask(web).error == "unauthorized_client"
    set_client(app, is_device=False)
    assert (ask(app).error, poll(app, codes).error) == ("unauthorized_client",) * 2
