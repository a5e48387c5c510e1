"""System 4: cookies and response headers."""

import base64
import json
import re

import pytest
from django.test import Client

from accounts.users.models import User
from authsite import errors
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.signin import signed_in
from tests.support.site import production as site_in_production
from tests.support.site import text_of
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    LOGOUT,
    PASSWORD,
    SIGNUP,
    address_of,
    code_in,
    confirm,
    is_signed_in,
    link_in,
    mail_to,
    make_staff,
    make_user,
    sign_in,
    sign_up,
    signed_up,
)
from tests.support.urls import OPEN, PAGES, address

CSP = (  # only pages with scripts have a nonce, and error pages have no scripts
    r"default-src 'none'; script-src (?:'nonce-[\w-]{22,}' 'strict-dynamic'|'none'); "
    r"style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    r"frame-ancestors 'none'; require-trusted-types-for 'script'"
)
CSP_OF_ADMIN = CSP.replace("require-trusted-types-for 'script'", "connect-src 'self'")


# These answer 405 to a POST before CSRF is checked.
FILES = {
    *(".well-known/jwks.json", "brand/<str:name>", "client/<str:name>", "pictures/<str:name>"),
    *("favicon.ico", "apple-touch-icon.png"),
}
# Their clients are programs, and no cookie counts there.
MACHINES = {route for route in PAGES if f"/{route}".startswith(errors.MACHINES)}
# The form of an app may begin a sign-in or ask to sign out, which changes nothing:
# tests/attacks/test_authorize.py, tests/oauth/test_logout.py.
FROM_APPS = {"oauth/authorize", "oauth/logout"}
# These answer 404 without credentials of a provider.
PROVIDERS = {f"accounts/<provider:provider>/login/{page}" for page in ("", "callback/")}


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """A production site behind a TLS proxy on this machine."""
    folder = tmp_path_factory.mktemp("production")
    with site_in_production(folder, "https://authsite.example") as running:
        yield running


HTTPS = {"X_Forwarded_Proto": "https"}


@proves("V3.3.1", "V3.3.2", "V3.3.3", "63B-5.1.1")
def test_4_1_under_https_every_cookie_is_secure_http_only_and_bound_to_the_host(production):
    """The refresh cookie is SameSite=Strict, and plain HTTP gets no cookie."""
    plain = production.client().get(LOGIN)
    assert (plain.status, plain.cookies) == (301, {})
    client = production.client(**HTTPS)
    cookies = client.get(LOGIN).cookies | sign_up(client, "alice").cookies
    code = code_in(text_of(production.wait_for_mail(to=address_of("alice"))))
    assert client.post(CONFIRM, {"code": code}).location == "/"
    cookies |= sign_in(production.client(**HTTPS), "alice", remember="on").cookies

    cookies |= client.post("/accounts/language/", {"language": "de"}, form="/help/").cookies

    cookies |= client.get("/oauth/logout?state=x").cookies

    names = ("csrftoken", "sessionid", "known", "last-method", "django_language", "logout")
    assert cookies.keys() == {f"__Host-{name}" for name in names}
    for cookie in cookies.values():
        check_cookie(cookie, "Lax")

    client = production.client(**HTTPS, Origin=production.origin, X_Requested_With="authsite")

    for method, path, body in (
        ("POST", "session/", {"username": "alice", "password": PASSWORD}),
        ("POST", "session/refresh/", {}),
        ("DELETE", "session/", {}),
    ):
        headers = {"Content-Type": "application/json"}
        sent = json.dumps(body).encode()
        answer = client.request(method, f"/api/v1/{path}", body=sent, headers=headers)
        assert answer.status in {200, 204}
        assert answer.cookies.keys() == {"__Host-refresh"}
        check_cookie(answer.cookies["__Host-refresh"], "Strict")
    assert client.cookies == {}


def check_cookie(cookie, samesite):
    """Check that a cookie is bound to the host and cannot be read by scripts."""
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, samesite)
    assert (cookie["path"], cookie["domain"]) == ("/", "")


@proves("V3.4.3", "V3.4.6", "V3.6.1", "V3.7.1", "V14.2.3", "RFC9700-4.16")
@pytest.mark.django_db
def test_the_content_security_policy_is_exact():
    """The other headers are tested in tests/attacks/test_http.py."""
    client = signed_in(make_staff("carol"), Client(enforce_csrf_checks=True))

    for method, path, host, status, policy in (
        ("GET", "/accounts/sessions/", "testserver", 200, CSP),
        ("GET", LOGIN, "testserver", 302, CSP),
        ("POST", LOGIN, "testserver", 403, CSP),
        ("GET", "/no-such-page", "testserver", 404, CSP),
        ("GET", LOGIN, "evil.example", 400, CSP),
        ("GET", "/admin/accounts/user/", "testserver", 200, CSP_OF_ADMIN),
        ("POST", "/admin/accounts/user/", "testserver", 403, CSP),
    ):
        answer = client.generic(method, path, headers={"Host": host})
        assert answer.status_code == status
        assert re.fullmatch(policy, answer["Content-Security-Policy"]), (method, path)


@proves("V14.2.2", "V14.2.5", "V14.3.2")
@pytest.mark.django_db
def test_personal_pages_are_never_stored_by_caches(client):
    """Withstands a thief with the database."""
    sign_up(client, "alice")
    waiting = [client.get(path) for path in (SIGNUP, LOGIN, CONFIRM, link_in(mail_to("alice")))]
    confirm(client, "alice")
    inside = [client.get(address(route)) for route in sorted(PAGES - OPEN)]

    for response in (*waiting, *inside, client.get(LOGOUT), client.get("/no-such-page")):
        assert "no-store" in response["Cache-Control"], response.request["PATH_INFO"]


@proves("WCAG-2.2.1")
@pytest.mark.django_db
def test_4_3_a_csrf_failure_keeps_values_typed_into_our_form_but_not_a_foreign_one():
    """Withstands a hostile website."""
    client = Client(enforce_csrf_checks=True)
    typed = {"login": "alice", "password": PASSWORD, "next": "/accounts/logout/"}

    here = {"Origin": "http://testserver"}
    page = client.post(LOGIN, typed, headers=here).text

    assert 'name="login" value="alice"' in page
    assert 'name="next" value="/accounts/logout/"' in page
    assert PASSWORD not in page
    there = client.post(LOGIN, typed | {"next": "//evil.example"}, headers=here)
    assert "evil.example" not in there.text
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        foreign = client.post(LOGIN, {"login": "mallory"}, headers=headers).text
        assert "mallory" not in foreign
        assert "csrfmiddlewaretoken" not in foreign, "the foreign page would get a valid token"


@proves("V3.5.1")
@pytest.mark.django_db
def test_4_3_every_page_refuses_a_post_without_a_csrf_token():
    """Withstands a hostile website: CSRF, on every page."""
    carol, bob = make_staff("carol"), make_user("bob")
    client = signed_in(carol, Client(enforce_csrf_checks=True))
    other = signed_in(carol)
    everything = {"login": "carol", "password": PASSWORD, "others": "1", "is_active": "on"}

    for route in PAGES - FILES - MACHINES - FROM_APPS - PROVIDERS:
        assert client.post(address(route), everything).status_code == 403, route
    sign_up(Client(), "eve")
    paths = (link_in(mail_to("eve")), f"/admin/accounts/user/{bob.pk}/change/", LOGOUT)
    for path in (*paths, LOGIN, "/accounts/sessions/", "/accounts/lockdown/"):
        for how in (
            {},
            {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"},
            {"content_type": "application/json", "data": "{}"},
            {"HTTP_X_CSRFTOKEN": "a" * 64},
            {"HTTP_ORIGIN": "null"},
        ):
            assert client.post(path, **how).status_code == 403, (path, how)

    assert is_signed_in(client)
    assert is_signed_in(other)
    assert User.objects.get(username="bob").is_active
    assert not User.objects.filter(username="eve").exists()
    assert User.objects.get(username="carol").has_usable_password()


@proves("V3.5.1")
@pytest.mark.django_db
def test_4_3_a_csrf_token_is_refused_from_another_origin(client):
    client = Client(enforce_csrf_checks=True)
    make_user("alice")
    page = client.get(LOGIN).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    fields = {"login": "alice", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}

    assert client.post(LOGIN, fields, HTTP_ORIGIN="https://evil.example").status_code == 403
    assert not is_signed_in(client)
    assert client.post(LOGIN, fields, HTTP_ORIGIN="http://testserver").status_code == 302
    assert is_signed_in(client)


@proves("V3.3.4")
@pytest.mark.django_db
def test_4_6_cookies_hold_random_values_and_nothing_readable(client):
    alice = signed_up("alice")
    user = User.objects.get(username="alice")
    sign_in(client, "alice", remember="on")
    client.post(LOGOUT)  # leaves a message for the next page
    half, seed = Client(), enrolled(make_user("dave", emailed_codes=True))
    sign_in(half, "dave")
    half.post(CHALLENGE, {"mail": "1"})
    second = code_in(mail_to("dave"))

    secrets_ = [str(user.pk), user.pk.hex, user.password, PASSWORD, seed, second]
    secrets_ += ["alice", "dave", "signed"]
    for browser in (alice, client, half):
        assert browser.cookies.keys() <= {"csrftoken", "known", "sessionid", "last-method"}
        for name, cookie in browser.cookies.items():
            if name == "last-method":
                assert cookie.value == "password", "a button of the sign-in page"
                continue
            assert re.fullmatch(r"[\w-]{32}|[\w-]{43}", cookie.value), "only random characters"
            readable = cookie.value + str(base64.urlsafe_b64decode(cookie.value + "=="))
            assert not [secret for secret in secrets_ if secret in readable]
