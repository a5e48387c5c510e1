"""Attacks on authorization requests."""

from itertools import product
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common.proofs import Method
from accounts.oauth import decisions, devices
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest, Connection
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.apps import WEB, make_app
from tests.support.authorize import (
    AUTHORIZE,
    CHALLENGE,
    PAR,
    VERIFIER,
    address,
    allow,
    begin,
    page_of_request,
    push,
    query,
    result,
    target,
    trusted,
)
from tests.support.devices import ask, new_device
from tests.support.oauth_client import FORM, browser_of, new_app
from tests.support.passkeys import REAUTHENTICATE, add_passkey, options_of, signs_in
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import LOGOUT, make_user, sign_in
from tests.support.webauthn import Passkey


@pytest.fixture
def app():
    return make_app(scope="openid profile email")


@proves("V3.7.2", "RFC9700-2.1-b")
@pytest.mark.parametrize("changes", [{"response_type": "token"}, {"scope": "everything"}], ids=str)
def test_a_wrong_request_of_an_app_that_nobody_has_checked_leads_nowhere(db, changes):
    """Withstands a malicious app: an open redirector."""
    unchecked = make_app("Shop", is_verified=False)

    answer = Browser().get(address(unchecked, **changes))

    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert "error" in result(Browser().get(address(make_app(), **changes)))


def test_a_link_without_pages_does_not_lead_to_an_app_that_has_described_itself(db):
    app, source = make_app("Shop", is_verified=False), Client.Source
    for changes, leads in (
        ({"source": source.REGISTRATION}, False),
        ({"source": source.OPERATOR}, True),
        ({"source": source.REGISTRATION, "is_verified": True}, True),
    ):
        Client.objects.update(**changes)
        answer = Browser().get(address(app, prompt="none"))
        assert (result(answer).get("error") == "login_required") == leads
        assert (answer.status_code == 400) != leads


@pytest.mark.parametrize("uri", ["http://127.0.0.1:4711/back", "org.example.app:/back"])
def test_no_page_posts_to_a_program_on_a_device(browser, uri):
    app = make_app("Tool", is_public=True, scope="openid email", is_development=True)
    Client.objects.update(redirect_uris=["http://127.0.0.1/back", "org.example.app:/back"])
    asked = {"redirect_uri": uri, "response_mode": "form_post"}

    is_local = uri.startswith("http:")
    assert begin(browser, app, **asked).status_code == (200 if is_local else 303)
    Client.objects.update(is_development=False)
    assert result(browser.get(address(app, **asked)))["error"] == "invalid_request"
    Client.objects.update(is_verified=False)
    refused = browser.get(address(app, response_mode="form_post", scope="x", redirect_uri=uri))
    assert (refused.status_code, f'action="{uri}' in refused.text) == (400, False)


@proves("RFC9700-2.1-d")
def test_every_answer_names_the_issuer_against_a_mix_up(settings, app, browser):
    """Withstands a malicious server."""
    page = begin(browser, app)
    answers = [
        allow(browser, page, "cancel"),
        allow(browser, begin(browser, app)),
        browser.get(address(app)),
        browser.get(address(app, prompt="none", scope="openid profile")),
        browser.get(address(app, iss="https://mallory.example", response_type="x")),
    ]

    assert {result(answer)["iss"] for answer in answers} == {settings.AUTHSITE.origin}
    assert ["code" in result(answer) for answer in answers] == [False, True, True, False, False]
    assert (result(answers[0])["error"], result(answers[0])["state"]) == ("access_denied", "s-1")


def test_a_consent_page_of_one_person_does_not_speak_for_the_next(app, browser):
    """Withstands another member.

    Alice's page is open when bob signs in to the same browser in another tab.
    """
    page = begin(browser, app)
    browser.post(LOGOUT)
    make_user("bob")
    sign_in(browser, "bob")

    answer = allow(browser, page)

    assert "You’re signed in as" in answer.text
    assert "bob" in answer.text
    assert not AuthorizationCode.objects.exists()
    assert not Connection.objects.exists()


def test_a_pending_request_opens_in_no_other_browser(settings, app, browser):
    """Withstands a hostile website: it continues the request of an app."""
    settings.SESSION_COOKIE_SECURE = True
    page = begin(browser, app)
    bob = signed_in(make_user("bob"))

    for other in (bob, Browser(), signed_in(make_user("carol"))):
        # A cookie of another request does not help.
        begin(other, app)
        answer = other.get(page_of_request(page))
        assert (answer.status_code, "Start again in the app" in answer.text) == (400, True)
        assert allow(other, page).status_code == 400
        assert allow(other, page, "cancel").status_code == 400
    assert "code" in result(allow(browser, page))
    cookie = browser.cookies["authorize"]
    assert [cookie[name] for name in ("secure", "httponly", "samesite")] == [True, True, "Lax"]
    browser.cookies["authorize"] = "planted"
    begin(browser, app, prompt="consent")
    assert len(browser.cookies["authorize"].value) == 43, "only the site chooses the value"


def test_two_tabs_of_a_browser_continue_their_own_requests(app, browser):
    pages = [begin(browser, app, state=state) for state in ("one", "two")]

    assert [result(allow(browser, page))["state"] for page in pages] == ["one", "two"]


def test_a_request_that_two_tabs_have_read_is_granted_once(app, browser):
    """Withstands a race."""
    begin(browser, app)
    asked, session = AuthorizationRequest.objects.get(), LoginSession.objects.get()
    devices.grant(asked, session, Actor(), agrees=True)

    with pytest.raises(devices.AlreadyAnswered):
        devices.grant(asked, session, Actor(), agrees=True)
    assert AuthorizationCode.objects.count() == 1


def test_an_account_is_chosen_while_another_tab_cancels_without_a_server_error(
    app, browser, monkeypatch
):
    page = begin(browser, app, prompt="select_account")

    def decide_late(asked, session, **how):
        devices.close(asked)
        return decisions.decide(asked, session, **how)

    monkeypatch.setattr("accounts.oauth.views.decide", decide_late)
    browser.raise_request_exception = False

    answer = allow(browser, page, "choose")

    assert answer.status_code == 302
    assert browser.get(answer["Location"]).status_code == 400


def test_a_redirect_uri_that_was_removed_since_gets_neither_a_code_nor_an_error(app, browser):
    """Withstands a malicious app."""
    page = begin(browser, app)
    Client.objects.update(redirect_uris=["https://paperless.example.org/new"])

    for act in ("allow", "cancel"):
        answer = allow(browser, page, act)
        assert (answer.status_code, result(answer)) == (400, {})
    assert not AuthorizationCode.objects.exists()


def test_a_request_uri_works_for_its_app_in_one_browser_and_once(browser):
    """Withstands an attacker of apps."""
    app, other = (make_app(name, is_public=True, scope="openid email") for name in ("A", "B"))
    uri, next_uri = (push(app).json()["request_uri"] for _ in range(2))
    mine = {"client_id": app.pk, "request_uri": uri}

    assert Browser().get(AUTHORIZE, mine | {"client_id": other.pk}).status_code == 400
    opened = browser.get(AUTHORIZE, mine)
    assert browser.get(AUTHORIZE, mine | {"client_id": other.pk}).status_code == 400
    for stranger in (Browser(), signed_in(make_user("bob"))):
        assert stranger.get(AUTHORIZE, mine).status_code == 400
    assert "code" in result(allow(browser, browser.get(opened["Location"])))
    assert browser.get(AUTHORIZE, mine).status_code == 400
    assert Browser().get(AUTHORIZE, mine | {"request_uri": next_uri}).status_code == 303
    silent = {"client_id": app.pk, "request_uri": push(app, prompt="none").json()["request_uri"]}
    stranger = Browser()
    first, second = (stranger.get(AUTHORIZE, silent) for _ in range(2))
    assert (result(first)["error"], second.status_code) == ("login_required", 400)


def test_a_request_uri_of_another_site_is_never_fetched(browser):
    app = make_app(is_public=True, scope="openid email")
    key = push(app).json()["request_uri"].rpartition(":")[2]
    for uri in ("https://mallory.example/request", "urn:x", "a\x00", "x" * 8000, key):
        assert browser.get(AUTHORIZE, {"client_id": app.pk, "request_uri": uri}).status_code == 400
        assert push(app, request_uri=uri).status_code == 400
    assert AuthorizationRequest.objects.get(pk=key).browser == "", "nobody has opened the request"


def test_a_request_uri_that_no_browser_opens_ends_after_90_seconds(browser, clock):
    app = make_app(is_public=True, scope="openid email")
    uri = push(app).json()["request_uri"]
    clock.advance(seconds=90)

    assert browser.get(AUTHORIZE, {"client_id": app.pk, "request_uri": uri}).status_code == 400


def test_the_second_step_is_not_skipped_by_prompt_none_or_by_starting_over(app):
    """Withstands a thief with the password."""
    alice, browser = make_user("alice"), Browser()
    seed = enrolled(alice)
    Client.objects.update(factor="second_factor", is_first_party=True)
    first = begin(browser, app)
    assert sign_in(browser, "alice", next=page_of_request(first)).url == "/accounts/2fa/challenge/"

    assert result(browser.get(address(app, prompt="none")))["error"] == "login_required"
    for page in (browser.get(page_of_request(first)), begin(browser, app)):
        assert page.url.startswith("/accounts/login/?next=/oauth/continue/")
    # A session with one step is not enough for the app, either.
    User.objects.filter(pk=alice.pk).update(emailed_codes=True)
    weak = signed_in(User.objects.get(pk=alice.pk), by=[Method.PASSWORD, Method.TRUSTED_BROWSER])
    assert result(weak.get(address(app, prompt="none")))["error"] == "login_required"
    assert not AuthorizationCode.objects.exists()

    browser.post("/accounts/2fa/challenge/", {"code": code_of(seed)})
    assert "code" in result(browser.get(address(app, prompt="none")))


def test_a_factor_that_was_removed_after_it_was_shown_does_not_count(app):
    """Withstands a thief with a second factor."""
    alice = make_user("alice")
    enrolled(alice)
    Client.objects.update(factor="second_factor", is_first_party=True)
    browser = signed_in(User.objects.get(pk=alice.pk))
    assert "code" in result(browser.get(address(app, prompt="none")))

    Authenticator.objects.all().delete()

    assert result(browser.get(address(app, prompt="none")))["error"] == "interaction_required"


def test_a_passkey_that_a_thief_adds_opens_no_app_that_needs_one_for_seven_days(clock):
    """Withstands a thief in the account."""
    alice = make_user("alice")
    seed, app = enrolled(alice), trusted(make_app(scope="openid email", factor="passkey"))
    owner = signed_in(User.objects.get(pk=alice.pk))
    clock.advance(minutes=4)
    passkey, thief = Passkey(), Browser()
    add_passkey(owner, passkey)
    clock.advance(minutes=1)
    assert signs_in(passkey, thief)

    for browser in (owner, thief):
        page = begin(browser, app)
        assert (page.status_code, "Use another one" in page.text) == (403, True)
        assert result(browser.get(address(app, prompt="none")))["error"] == "interaction_required"
    row = Authenticator.objects.get()
    thief.post(REAUTHENTICATE, {"credential": passkey.get(options_of(thief, REAUTHENTICATE))})
    thief.post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"})
    assert not Authenticator.objects.exists()
    assert "authenticator app at first" in begin(thief, app).text
    assert not AuthorizationCode.objects.exists()

    row.save(force_insert=True)
    owner = signed_in(User.objects.get(pk=alice.pk), by=[Method.PASSKEY])
    owner.post(REAUTHENTICATE, {"code": code_of(seed)})
    assert "code" in result(owner.get(address(app)))
    clock.advance(days=7)
    assert signs_in(passkey, thief)
    assert "code" in result(thief.get(address(app)))


def test_the_first_factor_opens_an_app_that_needs_one_from_the_next_sign_in_on(browser, clock):
    app, passkey = trusted(make_app(scope="openid email", factor="passkey")), Passkey()
    clock.advance(minutes=1)
    page = begin(browser, app)
    assert page.url.startswith("/accounts/2fa/passkeys/add/")
    add_passkey(browser, passkey)

    page = browser.get(page_of_request(page))
    assert (page.status_code, "sign in with the passkey or app" in page.text) == (403, True)
    browser.post(LOGOUT)
    clock.advance(minutes=1)

    assert signs_in(passkey, browser)
    assert "code" in result(browser.get(address(app)))


def test_tokens_do_not_name_a_second_factor_that_is_new(alice):
    app = new_app()
    session = browser_of(alice, Method.PASSWORD, Method.TOTP)
    assert claims_of(app.sign_in(session)["id_token"])["acr"] == "aal2"

    LoginSession.objects.update(stepped_up_at=None)
    session.refresh_from_db()

    tokens = app.sign_in(session)
    assert {claims_of(tokens[name])["acr"] for name in ("id_token", "access_token")} == {"aal1"}


@pytest.mark.parametrize("changes", [{"max_age": "0"}, {"prompt": "login"}])
def test_prompt_and_max_age_cannot_be_stripped_at_a_later_page(app, browser, clock, changes):
    """Withstands a thief with the password."""
    clock.advance(seconds=1)
    page = begin(browser, trusted(app), **changes)
    here = page_of_request(page)
    stripped = {"prompt": "none", "max_age": "9999", "acr_values": "aal1", "client_id": app.pk}
    stripped |= {"session": str(LoginSession.objects.get().pk)}

    for answer in (
        browser.get(here, stripped),
        browser.post(here, stripped | {"act": "allow"}),
        browser.post(here, stripped | {"act": "choose"}),
    ):
        assert answer.url.startswith("/accounts/reauthenticate/")
    assert not AuthorizationCode.objects.exists()


def test_a_misleading_name_changes_neither_the_page_nor_the_host_on_it(browser):
    """Withstands a malicious app."""
    name = '<a href="//x">authsite</a> (verified)'
    app = make_app(name, is_verified=False, scope="openid email")

    text = begin(browser, app).text

    assert "&lt;a href=&quot;//x&quot;&gt;authsite" in text
    assert '<a href="//x' not in text
    assert "<bdi>paperless.example.org</bdi>" in text
    assert "Not verified" in text
    assert "Verified by" not in text
    # The warning is not beside a button that looks like the usual one.
    assert 'class="button primary" name="act"' not in text


def test_a_stranger_cannot_store_requests_without_bound(settings, app):
    """Withstands a flood."""
    set_up(settings, limits_scale=0.05)
    Client.objects.update(is_public=True)
    stranger = Browser()

    assert [begin(stranger, app).status_code for _ in range(4)] == [302] * 4
    for _ in range(4):
        answers = [push(app), stranger.post(AUTHORIZE, query(app)), stranger.get(address(app))]
    assert [answer.status_code for answer in answers] == [429, 303, 303]
    assert [result(answer)["error"] for answer in answers[1:]] == ["temporarily_unavailable"] * 2
    assert result(answers[2])["state"] == query(app)["state"]
    Client.objects.update(is_verified=False)
    assert stranger.get(address(app)).status_code == 429
    assert AuthorizationRequest.objects.count() == 6
    assert begin(Browser(REMOTE_ADDR="192.0.2.9"), app).status_code == 302


def test_strangers_in_the_network_of_a_person_cannot_stop_sign_ins_to_apps(app, browser, clock):
    """Withstands a flood.

    They ask for 117 codes of devices, and begin 120 sign-ins, with nothing but a client ID.
    """
    device = new_device()[0]
    device.browser = Browser()
    assert [ask(device).status for _ in range(117)] == [200] * 117
    statuses = {begin(Browser(), app).status_code for _ in range(120)}
    assert statuses == {302, 303}
    known, shop = Browser(), new_app("Shop")
    known.cookies = browser.cookies.copy()
    del known.cookies["sessionid"]

    assert begin(known, app).url.startswith("/accounts/login/"), "somebody has signed in there"
    assert "code" in result(allow(browser, begin(browser, app)))
    pushed = shop.post(PAR, **query(shop.client))
    assert begin(Browser(), shop.client, request_uri=pushed["request_uri"]).status_code == 302
    service = new_app("Terminal", is_device=True)
    assert service.post("/oauth/device_authorization", scope="openid").status == 200
    # Neither a made-up cookie nor the one of another device is that of a known browser.
    firefox = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    for cookie, agent in (("x" * 43, ""), (browser.cookies["known"].value, firefox)):
        stranger = Browser(headers={"User-Agent": agent})
        stranger.cookies["known"] = cookie
        assert begin(stranger, app).status_code == 303


def test_a_known_browser_and_a_session_cannot_store_requests_without_bound(settings, app, browser):
    set_up(settings, limits_scale=0.05)
    known = Browser()
    known.cookies["known"] = browser.cookies["known"].value

    assert [begin(known, app).status_code for _ in range(4)] == [302, 302, 302, 303]
    pages = [begin(browser, app) for _ in range(4)]
    assert [page.status_code for page in pages] == [200, 200, 200, 303]
    assert "code" in result(allow(browser, pages[0])), "what has begun can be finished"
    bobs = signed_in(make_user("bob"))
    assert begin(bobs, app).status_code == 200
    known.cookies["known"] = bobs.cookies["known"].value
    assert begin(known, app).status_code == 302


# ``test_devices`` has many more. These also show that the endpoint changes no value.
TRICKS = ["", f"{WEB}/", f"{WEB} ", f" {WEB}", f"{WEB}\r\nX: y", "https://mallory.example/callback"]

REFUSED: list[tuple[dict[str, str | None], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
    ({"code_challenge": "\uff10" * 43}, "invalid_request"),
    ({"response_type": None}, "invalid_request"),
    *(
        ({"response_type": flow}, "unsupported_response_type")
        for flow in ("code id_token", "token", "CODE", "code code", "none")
    ),
    *(({"response_mode": mode}, "invalid_request") for mode in ("fragment", "query.jwt")),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
    *(({"prompt": f"none {other}"}, "invalid_request") for other in ("login", "login consent")),
    ({"prompt": "create"}, "invalid_request"),
    *(({"max_age": age}, "invalid_request") for age in ("9" * 19, "-1", "+60", "6_0", "٣٠", "1e3")),
    ({"nonce": "a\x00b"}, "invalid_request"),
]


@proves("RFC9700-2.1-a")
def test_a_redirect_uri_that_is_not_registered_exactly_gets_a_page_and_no_redirect(app, browser):
    """Withstands a malicious app."""
    for uri, changes in product(TRICKS, ({}, {"response_type": "token"})):
        answer = browser.get(address(trusted(app), redirect_uri=uri, **changes))

        assert answer.status_code == 400, uri
        assert "Location" not in answer
        assert "http-equiv" not in answer.text
        assert answer["X-Request-ID"] in answer.text


def test_a_verified_app_learns_that_no_request_is_read_from_a_url(app, browser):
    for uri in ("https://mallory.example/request", "urn:x"):
        answer = browser.get(address(trusted(app), request_uri=uri))
        assert result(answer)["error"] == "request_uri_not_supported"
    unknown = browser.get(address(app, request_uri="urn:ietf:params:oauth:request_uri:x"))
    assert (unknown.status_code, unknown["X-Request-ID"] in unknown.text) == (400, True)


def test_a_client_id_that_names_no_app_gets_a_page_and_no_redirect(app, browser):
    for name in (None, "", "nobody", app.pk.upper(), f"{app.pk}\0", "x" * 5000):
        answer = browser.get(address(trusted(app), client_id=name))

        assert (answer.status_code, "Location" in answer) == (400, False), name


def test_a_parameter_that_is_there_twice_is_refused(app, browser):
    """Withstands a hostile client.

    Two programs would otherwise read different values.
    """
    valid = query(trusted(app))
    for name in (*valid, "request_uri", "prompt", "resource"):
        fields = [*valid.items(), (name, "a"), (name, valid.get(name, "b"))]
        answer = browser.get(f"{AUTHORIZE}?{urlencode(fields)}")

        if name in {"client_id", "redirect_uri"}:
            assert answer.status_code == 400
        else:
            assert result(answer)["error"] == "invalid_request"
            assert result(answer).get("state") == (None if name == "state" else "s-1")
        pushed = Browser().post(PAR, urlencode(fields), content_type=FORM)
        assert pushed.json()["error"] == "invalid_request"
    assert not AuthorizationCode.objects.exists()


@proves("RFC9700-2.1.1-a", "RFC9700-2.1.2")
def test_requests_without_s256_or_of_another_flow_get_no_code(settings, app, browser):
    """Withstands a malicious app."""
    public = make_app(is_public=True, scope="openid email")
    for changes, error in REFUSED:
        answer = browser.get(address(trusted(app), **changes))

        assert target(answer).startswith(f"{WEB}?error="), changes
        assert (result(answer)["error"], result(answer)["iss"]) == (error, settings.AUTHSITE.origin)
        assert push(public, **changes).json()["error"] == error
    assert not AuthorizationCode.objects.exists()


@proves("RFC9700-4.5")
def test_without_pkce_a_request_needs_a_nonce_that_the_id_token_repeats(browser):
    """Withstands an attacker of apps: code injection.

    Otherwise the app could not detect a code that an attacker gives it (code injection).
    """
    app = new_app("Shop", "openid email", requires_pkce=False, is_first_party=True)
    client, plain = app.client, {"code_challenge": None, "code_challenge_method": None}

    for changes in (
        *({"nonce": None}, {"nonce": ""}, {"scope": "email"}),
        *({"code_challenge": CHALLENGE}, {"code_challenge_method": "S256"}),
    ):
        answer = browser.get(address(client, **(plain | changes)))
        assert result(answer)["error"] == "invalid_request", changes
        pushed = app.post(PAR, **query(client, **(plain | changes)))
        assert pushed.error == "invalid_request", changes
    assert not AuthorizationCode.objects.exists()

    answer = browser.get(address(client, **plain, nonce="of alice"))
    tokens = app.redeem(result(answer)["code"], code_verifier="")
    assert claims_of(tokens["id_token"])["nonce"] == "of alice"


def test_an_app_that_must_push_its_requests_gets_no_code_by_another(browser):
    """Withstands an attacker of apps."""
    app = new_app("Shop", "openid email", requires_par=True, is_first_party=True)
    client = app.client

    for answer in (browser.get(address(client)), browser.post(AUTHORIZE, query(client))):
        assert result(answer)["error"] == "invalid_request"
    assert not AuthorizationRequest.objects.exists()

    uri = app.post(PAR, **query(client))["request_uri"]
    opened = browser.get(AUTHORIZE, {"client_id": client.pk, "request_uri": uri})
    assert "code" in result(opened)


def test_a_state_that_no_header_can_hold_is_not_sent_back(app, browser):
    """Withstands a hostile client."""
    for state in ("s" * 8193, "é" * 4097, "a\r\nSet-Cookie: a=b"):
        answer = result(browser.post(AUTHORIZE, query(app, state=state)))
        assert (answer["error"], answer.get("state")) == ("invalid_request", None)
