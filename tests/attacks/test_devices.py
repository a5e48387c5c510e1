"""Signing in on a device without a browser (RFC 8628), with attacks on it and on redirect URIs."""

import re
from itertools import product

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client as Browser

from accounts.common import secrets
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationCode, DeviceAuthorization
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.authorize import allow
from tests.support.devices import PAGE, ask, let_in, new_device, poll, type_code
from tests.support.oauth_client import Answer, browser_of, new_app, set_client
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import LOGOUT, mail_to, make_user, sign_in


@pytest.fixture
def device():
    return new_device()


def is_waiting(device):
    """Return whether nobody has answered."""
    return DeviceAuthorization.objects.get().is_allowed is None


def test_a_link_allows_nothing_and_leaves_half_of_the_code_to_the_person(device, browser):
    """Withstands an attacker of apps: phishing by the code of a device.

    Mallory sends alice the link of a device of mallory's.
    """
    code = device[1]["user_code"]
    link = device[1]["verification_uri_complete"].removeprefix("http://localhost:8000")
    assert link == f"{PAGE}?user_code={code}"

    page = browser.get(link)

    assert f'value="{code[:5]}"' in page.text
    assert code[5:] not in re.sub(r'<script.*?</script>|<input type="hidden".*?>', "", page.text)
    assert "Did someone send you a code or this link?" in page.text
    assert "No device is showing this code" in type_code(browser, code[:5]).text
    assert is_waiting(device)


def test_nobody_allows_a_device_without_having_signed_in_recently(device, browser, clock):
    """Withstands a thief with a cookie."""
    stranger = Browser().get(PAGE)
    assert stranger["Location"].startswith("/accounts/login/?next=")
    clock.advance(minutes=7)
    codes = ask(device[0])
    page = type_code(browser, codes["user_code"])
    clock.advance(minutes=4)

    assert browser.get(PAGE)["Location"].startswith("/accounts/reauthenticate/")
    answer = browser.post(PAGE, {"user_code": codes["user_code"]})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert "Location" not in page
    assert allow(browser, page)["Location"].startswith("/accounts/reauthenticate/")
    assert not AuthorizationCode.objects.exists()


def test_codes_cannot_be_guessed_by_a_person_or_a_network(clock, device, browser):
    """Withstands a guesser."""
    assert {type_code(browser, device[1]["user_code"]).status_code for _ in range(6)} == {200}
    statuses = [type_code(browser, secrets.user_code()).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert type_code(browser, device[1]["user_code"]).status_code == 429
    others = [signed_in(make_user(name)) for name in ("bob", "carol", "dave", "erin")]

    tries = [type_code(other, "BCDFGHJK").status_code for other in others for _ in range(5)]

    assert tries == [200] * 15 + [429] * 5
    assert is_waiting(device)


def test_the_code_of_a_device_is_useless_to_another_client(device, browser):
    """Withstands an attacker of apps."""
    app, codes = device
    thief, web = new_device()[0], new_app(is_public=True)
    assert poll(thief, codes).error == "invalid_grant"
    let_in(browser, codes)

    assert poll(thief, codes).error == "invalid_grant"
    assert poll(web, codes).error == "unauthorized_client"
    # The other kind of grant does not accept it either.
    for verifier in ("", "a" * 43):
        answer = app.redeem(codes["device_code"], redirect_uri="", code_verifier=verifier)
        assert answer.error == "invalid_request"
    assert app.redeem(codes["device_code"]).error == "invalid_grant"
    assert poll(app, codes).status == 200


def test_a_code_that_two_devices_show_leads_to_neither(device, browser):
    """Withstands an accident."""
    app, codes = device
    (digest,) = DeviceAuthorization.objects.values_list("user_code", flat=True)
    ask(app)
    DeviceAuthorization.objects.update(user_code=digest)

    assert "No device is showing this code" in type_code(browser, codes["user_code"]).text


@proves("RFC9700-4.5")
def test_an_authorization_code_is_useless_as_a_device_code(browser):
    app = new_app(is_public=True, is_device=True)
    code = app.code(browser_of(User.objects.get()))

    assert poll(app, Answer(200, {"device_code": code}, {})).error == "invalid_grant"


def test_what_is_stored_of_the_codes_cannot_be_used(device, browser):
    """Withstands a thief with the database: codes of devices."""
    app, codes = device
    row = DeviceAuthorization.objects.get()
    assert codes["device_code"] not in str(vars(row))
    assert codes["user_code"].replace("-", "") not in str(vars(row))

    assert poll(app, Answer(200, {"device_code": row.digest}, {})).error == "invalid_grant"


def test_an_approval_of_one_person_is_not_redeemed_for_another(device, browser):
    """Withstands another member.

    Bob signs in where the page of alice is still open, and mallory types the code, too.
    """
    app, codes = device
    page = type_code(browser, codes["user_code"])
    browser.post(LOGOUT)
    bob = make_user("bob")
    sign_in(browser, "bob")
    mallory = signed_in(make_user("mallory"))
    other = type_code(mallory, codes["user_code"])

    # The page asks bob, instead of taking the answer of alice.
    again = allow(browser, page)
    assert "Sign in to" in again.text
    assert is_waiting(device)
    # Mallory cannot answer in bob's browser, nor after him.
    assert allow(mallory, page).status_code == 400
    assert "Go back to your device" in allow(browser, again).text
    assert allow(mallory, other).status_code == 400
    assert claims_of(poll(app, codes)["access_token"])["sub"] == str(bob.pk)


def test_a_stranger_cannot_store_devices_without_bound(clock, device):
    answers = [ask(device[0]) for _ in range(120)]

    assert [answer.status for answer in answers] == [200] * 119 + [429]
    assert answers[-1].error == "temporarily_unavailable"
    assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize("value", ["\0", "ß" * 64, "x" * 9000, ""])
def test_no_odd_code_causes_a_server_error(browser, value):
    """Withstands a hostile client."""
    app = new_device()[0]

    assert type_code(browser, value).status_code == 200
    assert browser.get(PAGE, {"user_code": value}).status_code == 200
    assert poll(app, Answer(200, {"device_code": value}, {})).status == 400


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
    assert poll(app, codes).error == "invalid_grant", "a second use is refused, and ends nothing"
    assert app.refresh(answer["refresh_token"]).status == 200


def test_the_page_says_which_app_on_which_device_asks_from_where_and_for_what(browser):
    fields = {"is_verified": False, "homepage": "https://terminal.example.org/about"}
    codes = new_device("openid email offline_access", **fields)[1]

    text = type_code(browser, codes["user_code"]).text

    for words in (
        *("Sign in to <bdi>Terminal</bdi>", "<bdi>terminal.example.org</bdi>", "Not verified"),
        *("<bdi>curl</bdi>", "198.51.100.7", "on a different network from this browser."),
        *("your email address", "stay connected after you sign out here"),
        *("If someone sent you the code", "Any program can claim to be <bdi>Terminal</bdi>"),
    ):
        assert words in text


def test_no_host_is_shown_that_an_app_which_has_registered_itself_has_claimed(browser):
    """Withstands a malicious app."""
    fields = {"homepage": "https://shop.example.org", "source": Client.Source.REGISTRATION}
    for registered in ([], ["https://shop.example.org/callback"]):
        codes = new_device(redirect_uris=registered, is_verified=False, **fields)[1]
        text = type_code(browser, codes["user_code"]).text
        assert "Not verified" in text
        assert "<bdi>shop.example.org</bdi>" not in text


def test_a_person_who_refuses_ends_the_request(browser):
    app, codes = new_device()

    assert "You’ve refused" in let_in(browser, codes, "cancel").text

    assert poll(app, codes).error == "access_denied"
    assert "No device is showing this code" in type_code(browser, codes["user_code"]).text


@pytest.mark.parametrize("change", [str.lower, lambda code: f" {code.replace('-', ' ')}. "])
def test_the_case_of_a_code_and_what_separates_its_letters_do_not_matter(browser, change):
    codes = new_device()[1]

    assert "Sign in to" in type_code(browser, change(codes["user_code"])).text


def test_codes_end_after_ten_minutes_and_are_pruned(browser, alice, clock):
    app, codes = new_device()
    page = type_code(browser, codes["user_code"])
    clock.advance(minutes=10)
    call_command("prune")

    assert poll(app, codes).error == "expired_token"
    assert browser.get(page.wsgi_request.path).status_code == 400
    assert "No device is showing this code" in type_code(signed_in(alice), codes["user_code"]).text
    clock.advance(hours=1)
    call_command("prune")
    assert not DeviceAuthorization.objects.exists()
    assert poll(app, codes).error == "invalid_grant"


def test_a_device_that_asks_too_often_must_wait_five_seconds_longer(clock):
    """Withstands a flood."""
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
    told = [(row.kind, row.detail) for row in rows]
    assert told == [("device_connected", "Terminal, 198.51.100.7")] * 2
    assert mail_to("alice").subject == "A device was connected to your account"


def test_a_device_gets_nothing_of_people_who_lack_what_the_app_requires(browser):
    """Withstands a malicious app."""
    app, codes = new_device(required_group=Group.objects.create(name="Editors"))

    page = type_code(browser, codes["user_code"])

    assert (page.status_code, "You can’t sign in to" in page.text) == (403, True)
    assert poll(app, codes).error == "authorization_pending"
    browser.post(page.wsgi_request.path, {"act": "cancel"})
    assert poll(app, codes).error == "access_denied"


def test_only_apps_that_are_registered_for_devices_get_codes():
    """Withstands a malicious app."""
    app, codes = new_device()
    web = new_app(is_public=True)

    assert ask(web).error == "unauthorized_client"
    set_client(app, is_device=False)
    assert (ask(app).error, poll(app, codes).error) == ("unauthorized_client",) * 2


WEB = "https://app.example.org/callback"
LOOPBACK = "http://127.0.0.1/callback"
OWN_SCHEME = "org.example.app:/callback"

HOSTILE = """
/callback
//app.example.org/callback
https:/app.example.org/callback
http://app.example.org/callback
http://localhost:8000/callback
http://127.0.0.2/callback
http://127.1/callback
http://127.0.0.1.example.org/callback
http://127.0.0.1:80@example.org/callback
http://127.0.0.1:0/callback
http://127.0.0.1:65536/callback
http://[::1%25eth0]/callback
javascript:alert(1)
javascript://app.example.org/%0aalert(1)
data:text/html,x
app:/callback
org.example.app:callback
org..app:/callback
https://user:password@app.example.org/callback
https://app.example.org@mallory.example/callback
https://app.example.org:0/callback
https://[::1/callback
https://App.example.org/callback
https://app.example.org./callback
https://*.example.org/callback
https://app.example.org%00.mallory.example/callback
https://bücher.example/callback
https://app。example.org/callback
https://app.example.org/cállback
https://app.example.org/callback#
https://app.example.org/%zz
https://app.example.org/<script>
https://app.example.org\\@mallory.example/
""".strip("\n").split("\n")
CONTROLS = ["\n", "\r\n", "\t", "\0", "\x7f", "\x85", "\u200b", "\u202e", "\u2028", "\ud800", " "]


@pytest.mark.parametrize(
    "uri", ["https://app.example.org", f"{WEB}?a=b%20c&d=/?", "https://[2001:db8::1]:8443/callback"]
)
def test_every_app_may_register_web_addresses(uri):
    for is_public in (True, False):
        uris.check(uri, is_public=is_public)


@pytest.mark.parametrize("uri", [LOOPBACK, "http://localhost/callback"])
def test_only_an_app_in_development_may_use_localhost_or_with_a_secret_a_loopback_address(uri):
    """Withstands a malicious app."""
    with pytest.raises(ValidationError):
        new_app(redirect_uris=[uri])

    client = new_app(redirect_uris=[uri], is_development=True).client

    for given in (uri, uri.replace("/callback", ":5173/callback")):
        assert uris.is_registered(client.redirect_uris, given)
    for other in ("/other", ":5173@mallory.example/callback", ".mallory.example/callback"):
        assert not uris.is_registered(client.redirect_uris, uri.replace("/callback", other))
    for changes in (
        *({"is_first_party": True}, {"source": Client.Source.REGISTRATION}),
        *({"redirect_uris": [OWN_SCHEME]}, {"redirect_uris": ["http://shop.example.org/"]}),
    ):
        for name, value in ({"redirect_uris": [WEB], "is_first_party": False} | changes).items():
            setattr(client, name, value)
        with pytest.raises(ValidationError):
            client.full_clean()


@pytest.mark.parametrize(
    "uri", [LOOPBACK, "http://[::1]:4000/", OWN_SCHEME, "org.example.app://callback"]
)
def test_only_a_public_app_may_register_an_address_on_a_device(uri):
    uris.check(uri, is_public=True)

    with pytest.raises(ValidationError):
        uris.check(uri, is_public=False)


@proves("V1.2.2")
def test_an_address_that_others_could_receive_or_that_runs_code_is_refused():
    """Withstands a malicious app."""
    longest = WEB + "a" * (uris.LONGEST - len(WEB))
    many = {"is_public": True, "may_be_localhost": False}
    uris.check_all([longest] * uris.MOST_URIS, **many)
    assert [uris.is_host("a" * n) for n in (uris.LONGEST_HOST, 254)] == [True, False]
    for uri in ("", *HOSTILE, f"{longest}a"):
        with pytest.raises(ValidationError):
            uris.check(uri, is_public=True)


def test_control_characters_and_spaces_are_refused_anywhere():
    for uri, control in product([WEB, LOOPBACK, OWN_SCHEME], CONTROLS):
        for place in (0, 2, uri.index(":") + 1, len(uri) - 1, len(uri)):
            hostile = f"{uri[:place]}{control}{uri[place:]}"
            assert not uris.is_registered([WEB, LOOPBACK, OWN_SCHEME], hostile)
            with pytest.raises(ValidationError):
                uris.check(hostile, is_public=True)


def test_a_request_may_name_only_an_address_that_is_registered_exactly():
    """Withstands a malicious app."""
    given = [
        *("", f"{WEB}/", f"{WEB}?", f"{WEB}#", f"{WEB},{WEB}", f"{WEB} {WEB}", WEB[:-1]),
        *("https://APP.example.org/callback", "https://app.example.org:443/callback"),
        *("https://app.example.org/./callback", "https://app.example.org/c%61llback"),
        *(f"{LOOPBACK}/more", f"{LOOPBACK}?a=b", f"{LOOPBACK}#", "http://127.0.0.1:4000"),
        *(f"http://127.0.0.1:{port}/callback" for port in ("", "+1", "\uff14", "123456", "0")),
        *("http://127.0.0.1:80@example.org/callback", "http://127.0.0.1.example.org/callback"),
        *("http://[::1]/callback", "http://localhost/callback", "https://127.0.0.1/callback"),
        *(f"{OWN_SCHEME}/", "org.example.app://callback"),
    ]
    assert [uri for uri in given if uris.is_registered([WEB, LOOPBACK, OWN_SCHEME], uri)] == []


@proves("RFC9700-2.1-a")
def test_only_the_port_of_a_loopback_address_may_differ():
    for given in (WEB, LOOPBACK, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"):
        assert uris.is_registered([WEB, LOOPBACK], given)
    assert uris.is_registered(["http://[::1]:4000/"], "http://[::1]:5000/")
