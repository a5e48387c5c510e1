"""Attacks with the codes and tokens of apps."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser

from accounts.common import clock
from accounts.oauth.models import AuthorizationCode
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import claims_of, get_tokens
from tests.support.api_jwt import basic
from tests.support.apps import WEB
from tests.support.authorize import CHALLENGE, VERIFIER
from tests.support.dpop import USERINFO, Key
from tests.support.oauth_client import FORM, App, audience, browser_of, is_live, new_app, set_client
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import mail_to, make_user

WIKI, SHOP = "https://wiki.example.org", "https://shop.example.org"


@pytest.fixture
def app(db):
    return new_app()


@pytest.fixture
def browser(db):
    return browser_of(make_user("alice"))


def apps_sessions():
    return LoginSession.objects.filter(kind=LoginSession.Kind.CONNECTED).count()


@proves("RFC9700-2.1.1-c")
def test_a_second_use_of_a_code_ends_what_it_gave_and_is_told_to_the_person(app, browser):
    """Withstands an attacker of apps."""
    code = app.code(browser, "openid offline_access")
    first = app.redeem(code)
    assert is_live(first["access_token"])

    for _ in range(2):
        assert app.redeem(code).error == "invalid_grant"

    assert not is_live(first["access_token"])
    assert app.refresh(first["refresh_token"]).error == "invalid_grant"
    events = browser.user.activity.filter(kind="code_reused")
    assert [(row.detail, row.ip) for row in events] == [("Paperless", "127.0.0.1")]
    assert "its code was used twice" in mail_to("alice").subject


@proves("RFC9700-2.1.1-c")
def test_only_the_app_that_got_the_code_can_redeem_it_or_end_what_it_gave(app, browser):
    """Withstands an attacker of apps."""
    wiki, public = new_app("Wiki"), new_app("Cli", is_public=True)
    code = app.code(browser)

    for thief in (wiki, public):
        assert thief.redeem(code).error == "invalid_grant"
    token = app.redeem(code)["access_token"]
    for thief in (wiki, public):
        assert thief.redeem(code).error == "invalid_grant"

    assert is_live(token)


@proves("V2.2.3")
@pytest.mark.parametrize(
    "form, error",
    [
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": "b" * 43}, "invalid_grant"),
        ({"redirect_uri": f"{WEB}/"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"resource": WIKI}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_whoever_lacks_a_part_neither_gets_a_token_nor_spends_or_revokes_the_code(
    app, browser, form, error
):
    """Withstands an attacker of apps."""
    code = app.code(browser)
    assert app.redeem(code, **form).error == error
    assert apps_sessions() == 0

    token = app.redeem(code)["access_token"]
    assert app.redeem(code, **form).error == error

    assert is_live(token)


@proves("RFC9700-2.1.1-a")
def test_a_code_without_a_challenge_cannot_be_redeemed_with_or_without_a_verifier(app, browser):
    """Such a code is never issued; a copy of a challenge is no verifier either."""
    code = app.code(browser, code_challenge="")
    stored = AuthorizationCode.objects.get()

    assert app.redeem(code).error == "invalid_grant"
    assert app.redeem(code, code_verifier="").error == "invalid_grant"
    other = app.code(browser)
    challenge = AuthorizationCode.objects.exclude(pk=stored.pk).get().code_challenge
    assert app.redeem(other, code_verifier=challenge).error == "invalid_grant"
    assert apps_sessions() == 0


@proves("RFC9700-2.1.1-b")
def test_a_challenge_that_was_removed_from_a_request_or_a_verifier_is_noticed(browser):
    """Withstands an attacker of apps: PKCE downgrade.

    The attack is known as PKCE downgrade (RFC 9700 section 4.8.2).
    """
    app = new_app(requires_pkce=False)

    for challenge, verifiers in ((CHALLENGE, ("", "b" * 43)), ("", (VERIFIER, "b" * 43))):
        code = app.code(browser, code_challenge=challenge)
        for verifier in verifiers:
            assert app.redeem(code, code_verifier=verifier).error == "invalid_grant"
    plain = app.code(browser, code_challenge="")
    assert new_app("Wiki", requires_pkce=False).redeem(plain, code_verifier="").status == 400
    set_client(app, requires_pkce=True)
    assert app.redeem(plain, code_verifier="").error == "invalid_grant"
    assert apps_sessions() == 0
    set_client(app, requires_pkce=False)
    first = app.redeem(plain, code_verifier="")
    assert is_live(first["access_token"])
    assert app.redeem(plain, code_verifier="").error == "invalid_grant"
    assert not is_live(first["access_token"]), "a second use ends what the first one gave"


def test_a_code_expires_after_code_seconds(app, browser, clock, settings):
    set_up(settings, code_seconds=20)
    late, in_time = app.code(browser), app.code(browser)

    clock.advance(seconds=19)
    assert app.redeem(in_time).status == 200
    clock.advance(seconds=1)
    assert app.redeem(late).error == "invalid_grant"


def test_what_is_stored_of_a_code_cannot_be_used_as_a_code(app, browser):
    """Withstands a thief with the database."""
    code = app.code(browser)
    stored = AuthorizationCode.objects.get()

    assert code not in str(vars(stored))
    assert app.redeem(stored.digest).error == "invalid_grant"


def let_the_session_expire(user, _app):
    rows = LoginSession.objects.filter(user=user)
    rows.update(idle_at=rows.get().begun_at - timedelta(seconds=1))


CHANGES = {
    "deactivated": lambda user, _app: User.objects.filter(pk=user.pk).update(is_active=False),
    # In the browser session that the code comes from, which stays signed in.
    "new password": lambda user, _app: User.objects.filter(pk=user.pk).update(
        credential_version=user.credential_version + 1
    ),
    "signed out": lambda user, _app: sessions.revoke_all(user),
    "expired": let_the_session_expire,
    "disabled": lambda _user, app: set_client(app, disabled_at=clock.now()),
    "a factor is required": lambda _user, app: set_client(app, factor="second_factor"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_code_gives_nothing_after_the_account_the_session_or_the_app_has_changed(
    app, browser, change
):
    """Withstands an attacker of apps."""
    code = app.code(browser)

    CHANGES[change](browser.user, app)

    assert app.redeem(code).error == ("invalid_client" if change == "disabled" else "invalid_grant")
    assert apps_sessions() == 0


def test_an_app_ends_its_session_with_any_of_its_tokens(app, alice, clock):
    for kind in ("access_token", "refresh_token"):
        given = app.sign_in(browser_of(alice))
        clock.advance(minutes=6)

        answer = app.revoke(given[kind])

        assert (answer.status, answer.body) == (200, {})
        assert app.refresh(given["refresh_token"]).error == "invalid_grant"
    assert alice.activity.filter(kind="client_signed_out", detail="Paperless").count() == 2


def test_nobody_else_ends_the_session_of_an_app(app, alice):
    """Withstands an attacker of apps."""
    given, own = app.sign_in(browser_of(alice)), get_tokens("alice")

    for stranger in (new_app("Wiki"), new_app("Cli", is_public=True)):
        for token in (given["access_token"], given["refresh_token"], own["access"], "x", "\u00fc"):
            assert (stranger.revoke(token).status, stranger.revoke(token).body) == (200, {})
    nobody = App(app.client, app.secret + "x")
    assert nobody.revoke(given["refresh_token"]).status == 401
    for token in (given["id_token"], own["access"], own["refresh"]):
        assert app.revoke(token).status == 200

    assert is_live(given["access_token"])
    assert is_live(own["access"])
    assert app.revoke("").error == "invalid_request"


@proves("RFC9700-4.9")
def test_a_service_does_not_end_the_session_of_a_public_app_by_the_token_that_it_got(
    alice, settings
):
    set_up(settings, token_audiences=(WIKI,))
    app = new_app(is_public=True, audiences=[WIKI])
    there, here = (app.sign_in(browser_of(alice), audience=name) for name in (WIKI, audience()))

    assert (app.revoke(there["access_token"]).status, app.revoke("x").status) == (200, 200)
    refreshed = app.refresh(there["refresh_token"])
    assert refreshed.status == 200

    for given, token in ((there, refreshed["refresh_token"]), (here, here["access_token"])):
        app.revoke(token)
        assert app.refresh(given["refresh_token"]).error == "invalid_grant"


def test_an_app_introspects_its_own_tokens(app, alice, clock):
    given = app.sign_in(browser_of(alice))

    access, refresh = (app.introspect(given[name]) for name in ("access_token", "refresh_token"))

    claims = claims_of(given["access_token"]) | {"active": True, "token_type": "Bearer"}
    assert access.body == claims
    assert (refresh["active"], refresh["sub"]) == (True, str(alice.pk))
    assert refresh["exp"] == int((clock.now() + timedelta(days=7)).timestamp())
    newer = app.refresh(given["refresh_token"])["refresh_token"]
    assert app.introspect(given["refresh_token"]).body == {"active": False}
    clock.advance(minutes=6)
    assert app.introspect(given["access_token"]).body == {"active": False}
    app.revoke(newer)
    assert app.introspect(newer).body == {"active": False}


@proves("RFC9700-4.9")
def test_only_the_app_or_the_service_of_a_token_may_introspect_it(alice, settings):
    """Withstands a spy."""
    set_up(settings, token_audiences=(WIKI, SHOP))
    app = new_app(audiences=[WIKI, SHOP])
    wiki, shop = new_app("Wiki", resource=WIKI), new_app("Shop", resource=SHOP)
    public = new_app("Cli", is_public=True, resource=WIKI, audiences=[WIKI])
    given = app.sign_in(browser_of(alice), audience=WIKI)
    here = app.sign_in(browser_of(alice))["access_token"]
    own = get_tokens("alice", audience=WIKI)["access"]

    for token in (given["access_token"], own):
        assert wiki.introspect(token)["active"]
    for stranger in (shop, new_app("Other", audiences=[WIKI])):
        for token in (given["access_token"], given["refresh_token"], here, own):
            assert stranger.introspect(token).body == {"active": False}
    for token in (given["refresh_token"], given["id_token"], here, "x"):
        assert wiki.introspect(token).body == {"active": False}
    assert public.introspect(given["access_token"]).error == "invalid_client"
    assert App(wiki.client, "").introspect(own).error == "invalid_client"


@proves("RFC9700-4.15")
def test_this_site_itself_is_no_service_that_an_app_can_be():
    for resource in (audience(), WIKI):
        with pytest.raises(ValidationError, match="can’t have"):
            new_app(resource=resource)


def asked(token, *, method="GET"):
    return Browser().generic(method, USERINFO, headers={"Authorization": f"Bearer {token}"})


@proves("V15.3.1")
def test_userinfo_tells_what_the_token_grants(app, alice):
    token = app.sign_in(browser_of(alice), "openid email")["access_token"]

    for method in ("GET", "POST"):
        answer = asked(token, method=method)
        email = {"email": "alice@example.org", "email_verified": True}
        assert answer.json() == {"sub": str(alice.pk)} | email
        assert answer["Cache-Control"] == "no-store"


def test_userinfo_refuses_tokens_without_openid_for_others_or_of_another_kind(
    alice, settings, clock
):
    """Withstands a malicious app."""
    set_up(settings, token_audiences=(WIKI,))
    app = new_app(audiences=[WIKI])
    browser = browser_of(alice)
    given, there = app.sign_in(browser), app.sign_in(browser, audience=WIKI)
    without = app.sign_in(browser, "profile email")
    own = get_tokens("alice")

    for token in (without["access_token"], own["access"]):
        answer = asked(token)
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="openid"'
    wrong = [there["access_token"], given["id_token"], given["refresh_token"], "x", ""]
    clock.advance(minutes=6)
    for token in (*wrong, given["access_token"]):
        answer = asked(token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_userinfo_takes_a_token_only_from_the_header_or_a_form(app, alice):
    token = app.sign_in(browser_of(alice))["access_token"]
    browser, form, header = Browser(), f"access_token={token}", {"Authorization": f"Bearer {token}"}
    by_form = browser.post(USERINFO, form, content_type=FORM)
    assert (by_form.status_code, by_form.json()["sub"]) == (200, str(alice.pk))

    for url, headers in ((USERINFO, header), (f"{USERINFO}?{form}", {})):
        both = browser.post(url, form, content_type=FORM, headers=headers)
        assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    bound = app.redeem(app.code(browser_of(alice)), dpop=Key().proof())["access_token"]
    stolen = browser.post(USERINFO, f"access_token={bound}", content_type=FORM)
    assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_token")
    answers = [
        browser.get(USERINFO),
        browser.get(USERINFO, {"access_token": token}),
        browser.post(USERINFO, {"access_token": token}),
        browser.get(USERINFO, headers={"Authorization": f"Basic {token}"}),
    ]

    for answer in answers:
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert browser.put(USERINFO).status_code == 405


def test_no_cookie_counts_at_the_endpoints(app, alice):
    """Withstands a hostile website.

    The browser is signed in, and has the refresh token of a page in a cookie.
    """
    given = app.sign_in(browser_of(alice))
    signed_in(alice, app.browser)
    app.browser.cookies["refresh"] = given["refresh_token"]

    assert app.browser.get(USERINFO).status_code == 401
    assert app.post("/oauth/token", grant_type="refresh_token").error == "invalid_request"


@proves("V15.3.7")
@pytest.mark.parametrize("path", ["token", "revoke", "introspect"])
def test_endpoints_refuse_other_forms_of_a_request(app, path):
    """Withstands a hostile client."""
    url, good = f"/oauth/{path}", "grant_type=refresh_token&token=x"
    browser, kind = app.browser, {"content_type": FORM}
    headers = {"Origin": "https://mallory.example"}
    by_basic = browser.post(url, good, headers={"Authorization": basic("x", "y")}, **kind)
    assert by_basic["WWW-Authenticate"].startswith("Basic realm=")

    refused = {
        405: [browser.get(url), browser.put(url, good)],
        400: [
            browser.post(f"{url}?a=x", good, headers={"Authorization": basic("x", "y")}, **kind),
            browser.post(url, {"token": "x"}),
            browser.post(url, '{"token": "x"}', content_type="application/json"),
            browser.post(url, f"{good}&token=y", **kind),
            browser.post(url, f"client_id=%00&{good}", **kind),
        ],
        404: [browser.post(f"{url}/", good, **kind)],
        401: [browser.post(url, good, headers=headers, **kind), by_basic],
    }

    assert refused[405][0]["Allow"] == "POST"
    for status, answers in refused.items():
        for answer in answers:
            assert answer.status_code == status, answer.content
            assert answer.json()["error"] in {"invalid_request", "invalid_client"}
            assert answer.json()["error_description"]
            assert "Set-Cookie" not in answer.headers
            assert ("WWW-Authenticate" in answer.headers) == (answer is by_basic)


def test_requests_that_are_too_large_are_refused_without_a_traceback_in_the_log(caplog):
    """Withstands a flood."""
    many, large = "&".join(f"a{i}=" for i in range(300)), f"a={'x' * 70_000}"
    machines = ("token", "par", "revoke", "introspect", "device_authorization")

    for name in machines:
        for body, status in ((many, 400), (large, 413)):
            answer = Browser().post(f"/oauth/{name}", body, content_type=FORM)
            assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    for path in ("/oauth/authorize", "/oauth/logout", "/accounts/login/"):
        assert Browser().post(path, many, content_type=FORM).status_code == 400
        assert Browser().get(f"{path}?{many}").status_code in {200, 400}
    assert [record for record in caplog.records if record.exc_info] == []


@proves("RFC9700-4.2")
def test_neither_the_codes_nor_the_secrets_of_requests_are_logged(app, alice, capfd, caplog):
    """Withstands a thief with the database."""
    code = app.code(browser_of(alice), "openid offline_access")
    given = app.redeem(code)
    app.redeem(code, redirect_uri=f"{WEB}?code={code}")
    app.introspect(given["access_token"])
    app.revoke(given["refresh_token"])

    written = "".join(capfd.readouterr()) + caplog.text
    tokens = [given[name] for name in ("access_token", "refresh_token", "id_token")]
    for secret in (code, app.secret, *tokens):
        assert secret not in written
