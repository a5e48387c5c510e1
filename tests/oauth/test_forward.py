"""Forward authentication: what a proxy is told of the person who opens a page of an app."""

from html import unescape
from urllib.parse import urlencode

from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.common import secrets
from accounts.oauth import id_tokens
from accounts.oauth.clients.models import Client
from accounts.oauth.forward import COOKIE, HEADERS
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring
from accounts.users.models import EmailAddress
from tests.support.api import claims_of
from tests.support.apps import ADD, FORM, add
from tests.support.authorize import target
from tests.support.forward import CALLBACK, SHOP, WIKI, Visitor, protect
from tests.support.invitations import superuser
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user


def test_a_page_opens_after_a_sign_in_that_asks_nothing_and_the_app_learns_who_opens_it(
    alice, wiki
):
    alice.groups.add(Group.objects.create(name="Wiki, ädmins"), Group.objects.create(name="Crew"))
    visitor = Visitor(alice)

    landed = visitor.visit(path="/pages?id=1&x=%C3%A9")
    begun = Visitor().open(Visitor().ask()["Location"]).cookies[COOKIE]
    answer = visitor.ask(HTTP_COOKIE=f"a=1; __Host-forward={visitor.cookies[WIKI]}; b=2")

    assert landed == f"https://{WIKI}/pages?id=1&x=%C3%A9"
    assert (begun["secure"], begun["httponly"], begun["samesite"]) == (True, True, "Lax")
    assert answer.status_code == 200
    assert not answer.content
    assert [answer[name] for name in HEADERS if name != "Remote-Token"] == [
        *(str(alice.pk), "alice", "alice@example.org"),
        *("Crew,Wiki%2C %C3%A4dmins", "a=1; b=2"),
    ]
    claims = claims_of(answer["Remote-Token"])
    assert (claims["aud"], claims["sub"]) == (WIKI, str(alice.pk))
    assert claims["groups"] == ["Crew", "Wiki, ädmins"]


def test_the_app_gets_only_headers_of_its_scopes_and_addresses_that_their_owners_confirmed(
    alice, wiki
):
    visitor = Visitor(alice)
    EmailAddress.objects.update(vouched_at=timezone.now())
    visitor.visit()
    vouched = visitor.ask()
    Client.objects.update(scope="openid")
    few = visitor.ask()

    assert not vouched["Remote-Email"]
    assert claims_of(vouched["Remote-Token"])["email_verified"] is False
    assert [name for name in HEADERS if few[name]] == ["Remote-Id", "Remote-Token"]


def test_groups_that_are_too_many_for_a_header_are_left_out(alice, wiki):
    names = [*(f"{n:0150}" for n in range(27)), "x" * 19]
    alice.groups.add(*(Group.objects.create(name=name) for name in names))
    visitor = Visitor(alice)
    visitor.visit()

    assert len(visitor.ask()["Remote-Groups"]) == 4096
    Group.objects.filter(name=names[-1]).update(name="x" * 20)
    assert not visitor.ask()["Remote-Groups"]
    assert claims_of(visitor.ask()["Remote-Token"])["groups_omitted"] is True


def test_the_token_changes_at_once_with_what_it_says_and_otherwise_after_ten_seconds(
    alice, wiki, clock
):
    visitor = Visitor(alice)
    visitor.visit()
    tokens = set()
    for _ in range(10):
        tokens.add(visitor.ask()["Remote-Token"])
        clock.advance(seconds=1)
    alice.groups.add(Group.objects.create(name="Crew"))
    changed = visitor.ask()["Remote-Token"]
    clock.advance(seconds=10)
    later = visitor.ask()["Remote-Token"]

    assert len(tokens) <= 2, "the ten seconds of a token began at any time"
    assert claims_of(changed)["groups"] == ["Crew"]
    assert claims_of(later)["iat"] == claims_of(changed)["iat"] + 10


def test_use_of_an_app_keeps_the_session_of_the_browser_from_expiring(alice, wiki, clock):
    visitor = Visitor(alice)
    visitor.visit()
    for _ in range(3):
        clock.advance(minutes=50)
        assert visitor.ask().status_code == 200

    assert visitor.site.get("/").status_code == 200


def test_a_stranger_signs_in_first_and_then_comes_to_the_page(alice, wiki):
    visitor = Visitor()
    begun = visitor.open(visitor.ask(HTTP_X_FORWARDED_URI="/a")["Location"])["Location"]
    sign_in = visitor.site.get(visitor.site.get(begun[begun.index("/oauth/") :])["Location"])
    signed_in(alice, visitor.site)
    page = visitor.site.get(sign_in["Location"].partition("next=")[2])

    assert visitor.open(target(page))["Location"] == f"https://{WIKI}/a"


def test_a_person_outside_the_group_or_without_the_factor_reads_why(alice, wiki):
    crew = Group.objects.create(name="Crew")
    Client.objects.update(required_group=crew)
    visitor = Visitor(alice)
    begun = visitor.open(visitor.ask()["Location"])["Location"]
    page = visitor.site.get(visitor.site.get(begun[begun.index("/oauth/") :])["Location"])

    assert page.status_code == 403
    assert "Wiki" in page.text

    alice.groups.add(crew)
    Client.objects.update(factor=Client.Factor.ANY)
    assert visitor.site.get(page.wsgi_request.path)["Location"].startswith("/accounts/2fa/totp/")


def test_two_pages_that_are_opened_at_once_both_open(alice, wiki):
    visitor, begins = Visitor(alice), f"https://{WIKI}{CALLBACK}?state=/"
    first = visitor.code(f"{begins}first")
    del visitor.cookies[WIKI]
    second = visitor.code(f"{begins}second")

    again = visitor.open(first)["Location"]
    code = target(visitor.site.get(again[again.index("/oauth/") :]))

    assert visitor.open(second)["Location"] == f"https://{WIKI}/second"
    assert visitor.open(code)["Location"] == f"https://{WIKI}/first"


def test_whoever_cancels_or_refuses_cookies_reads_it_on_the_host_of_the_app(wiki):
    visitor = Visitor()
    cancelled = visitor.open(f"https://{WIKI}{CALLBACK}?{urlencode({'error': 'access_denied'})}")
    blocked = visitor.open(f"https://{WIKI}{CALLBACK}?code=x")

    assert [answer.status_code for answer in (cancelled, blocked)] == [400, 400]
    assert "You haven’t signed in." in cancelled.text
    assert "cookie" in blocked.text


def test_the_second_host_needs_a_sign_in_of_its_own_which_asks_nothing(alice, wiki):
    protect(SHOP, scope="openid offline_access")
    visitor = Visitor(alice)
    visitor.visit()
    visitor.visit(SHOP)

    assert [visitor.ask(host).status_code for host in (WIKI, SHOP)] == [200, 200]
    assert visitor.cookies[WIKI] != visitor.cookies[SHOP]
    session = LoginSession.objects.get(app_session__client=SHOP)
    assert (session.scope, session.refresh_digest) == ("openid", "")


def test_a_key_that_cannot_sign_uses_up_no_code(alice, wiki, settings):
    visitor, keys = Visitor(alice), settings.AUTHSITE.encryption_keys
    code, statuses = visitor.code(), []
    id_tokens.be_ready()

    for held in ((secrets.encryption_key(),), keys):
        set_up(settings, encryption_keys=held)
        keyring.forget()
        statuses.append(visitor.open(code).status_code)

    assert statuses == [503, 303]
    assert visitor.ask().status_code == 200


def test_the_admin_and_the_command_register_a_host(db):
    browser = superuser()[1]
    fields = FORM | {"is_public": "on", "is_first_party": "on", "redirect_uris": f"https://{WIKI}"}
    wrong = browser.post(f"{ADD}?kind=forward", fields)
    fields |= {"redirect_uris": f"https://{WIKI}{CALLBACK}"}
    first, twice = (browser.post(f"{ADD}?kind=forward", fields) for _ in range(2))
    uri = f"https://{SHOP}{CALLBACK}"
    added = add("Shop", "--client-id", SHOP, "--public", "--first-party", "--redirect-uri", uri)

    assert f"https://HOST{CALLBACK}" in wrong.text
    assert WIKI in first.text
    assert "already" in twice.text
    assert {*Client.objects.values_list("pk", flat=True)} == {WIKI, added["client_id"]}


def test_the_page_of_sessions_names_the_apps_that_end_with_a_session(alice, wiki):
    visitor = Visitor(alice)
    visitor.visit()

    assert "Wiki" in visitor.site.get("/accounts/sessions/").text
    assert "Wiki" in visitor.site.get("/accounts/apps/").text


# What Traefik 3.7 sends besides (``pkg/middlewares/auth/forward.go``; the headers of Go's client).
# Its service passes on the rest of what the browser sends to the callback.
TRAEFIK = {
    "HTTP_HOST": "localhost:8000",
    "HTTP_ACCEPT_ENCODING": "gzip",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_METHOD": "GET",
    "HTTP_X_FORWARDED_URI": "/pages?id=1",
}
SERVICE = {
    "HTTP_X_FORWARDED_PORT": "443",
    "HTTP_X_FORWARDED_SERVER": "traefik",
    "HTTP_X_REAL_IP": "203.0.113.9",
    "HTTP_ACCEPT": "text/html",
    "HTTP_REFERER": f"https://{WIKI}/",
    "HTTP_SEC_FETCH_SITE": "same-origin",
}


def test_behind_traefik_a_page_leads_to_the_sign_in_and_back_and_any_name_arrives_as_it_is(wiki):
    visitor = Visitor(make_user("bob.o-neil_2"))
    denied = visitor.ask(**TRAEFIK)
    landed = visitor.open(visitor.code(denied["Location"]), **TRAEFIK, **SERVICE)

    assert f"0; url={denied['Location']}" in unescape(denied.text)
    assert landed["Location"] == f"https://{WIKI}/pages?id=1"
    assert visitor.ask(**TRAEFIK)["Remote-User"] == "bob.o-neil_2"
