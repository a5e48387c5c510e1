"""Attacks on apps behind a proxy that asks this site about each request."""

import re
from collections.abc import Callable
from itertools import product
from urllib.parse import quote, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.deletion import services as deletion
from accounts.oauth import forward
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.clients.uris import forward_callback
from accounts.oauth.forward import COOKIE
from accounts.recovery import locks
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.authorize import AUTHORIZE
from tests.support.forward import CALLBACK, CHECK, MALLORY, PEER, SHOP, WIKI, Visitor, protect
from tests.support.oauth_client import FORM, VERIFIER
from tests.support.signin import set_up
from tests.support.standards import proves
from tests.support.steps import make_user
from tests.support.wsgi import Applications, answer

EVIL = "mallory.example"
COUNTERFEIT = f"{COOKIE}={'0' * 96}"


@pytest.fixture
def visitor(alice, wiki):
    """A browser of alice, who has opened the wiki."""
    visitor = Visitor(alice)
    visitor.visit()
    return visitor


ENDS: dict[str, Callable[[Visitor], object]] = {
    "sign-out": lambda visitor: visitor.site.post("/accounts/logout/"),
    "a lock": lambda _visitor: locks.lock_down(User.objects.get(), Actor()),
    "deactivation": lambda _visitor: User.objects.update(is_active=False),
    "a request to delete": lambda _visitor: deletion.request(User.objects.get(), Actor()),
    "the end of the browser's session": lambda _visitor: LoginSession.objects.filter(
        kind=LoginSession.Kind.BROWSER
    ).update(idle_at=clock.now()),
    "the end of the app's session": lambda _visitor: LoginSession.objects.filter(
        kind=LoginSession.Kind.CONNECTED
    ).update(ended_at=clock.now()),
    "deletion": lambda _visitor: User.objects.get().delete(),
    "a group": lambda _visitor: Client.objects.update(
        required_group=Group.objects.create(name="Crew")
    ),
    "a factor": lambda _visitor: Client.objects.update(factor=Client.Factor.ANY),
    "a disabled app": lambda _visitor: clients.set_enabled(
        Client.objects.get(), Actor(), enabled=False
    ),
    "a disabled app whose sessions a crash has left": lambda _visitor: Client.objects.update(
        disabled_at=clock.now()
    ),
    "an app that is not first-party any more": lambda _visitor: Client.objects.update(
        is_first_party=False
    ),
    "an app without its redirect URI": lambda _visitor: Client.objects.update(redirect_uris=[]),
    "a new SECRET_KEY": lambda _visitor: None,
}


@pytest.mark.parametrize("end", ENDS)
def test_everything_that_ends_access_ends_it_at_once_and_on_the_short_path_in_half_a_second(
    visitor, end, settings, monkeypatch
):
    """Withstands a thief in the account."""
    apps, now = Applications(), [100.0]
    monkeypatch.setattr(forward, "monotonic", lambda: now[0])
    for _ in range(2):
        assert answer(apps.short, visitor.environ()).status == "200 OK"
    assert apps.passed_on == 1

    ENDS[end](visitor)
    if end == "a new SECRET_KEY":
        settings.SECRET_KEY = "n" * 50

    assert visitor.ask().status_code in {401, 403}
    now[0] += 0.5
    assert answer(apps.short, visitor.environ()).status[:3] in {"401", "403"}


def test_a_member_who_leaves_the_group_is_out_at_the_next_request(visitor):
    crew = Group.objects.create(name="Crew")
    Client.objects.update(required_group=crew)
    user = User.objects.get()
    user.groups.add(crew)
    assert visitor.ask().status_code == 200

    user.groups.clear()

    assert visitor.ask().status_code == 401


HOSTS = {
    "none": None,
    "an unknown one": EVIL,
    "a port": f"{WIKI}:443",
    "capitals": WIKI.upper(),
    "a dot at the end": f"{WIKI}.",
    "a username": f"alice@{WIKI}",
    "a list": f"{WIKI}, {EVIL}",
    "a list the other way round": f"{EVIL}, {WIKI}",
    "a path": f"{WIKI}/x",
    "a line break": f"{WIKI}\n{EVIL}",
    "a percent sign": f"{WIKI}%00",
    "a zero byte": f"{WIKI}\0",
    "another alphabet": "w\N{LATIN SMALL LETTER DOTLESS I}ki.example.org",
    "a part": "iki.example.org",
    "a long one": "a" * 5000,
    "the site itself": "localhost",
}


def test_only_a_registered_host_in_its_one_spelling_is_answered(visitor, client):
    """Withstands an attacker of apps."""
    for path, (name, host) in product([CHECK, CALLBACK], HOSTS.items()):
        found = client.get(path, **visitor.meta() | {"HTTP_X_FORWARDED_HOST": host or ""})

        assert found.status_code == 403, name
        assert (found["Content-Type"], "TRUSTED_PROXIES" in found.text) == ("text/plain", True)
        assert "Location" not in found
        assert EVIL not in found.text
        meta = visitor.meta() | {"HTTP_X_FORWARDED_HOST": host or ""}
        assert forward.host_of(meta) in {"", EVIL, "iki.example.org", "localhost"}, name


def test_a_stranger_or_another_peer_or_a_repeated_request_costs_no_query(
    visitor, django_assert_num_queries, monkeypatch
):
    """Withstands a flood."""
    monkeypatch.setattr(forward, "monotonic", lambda: 100.0)
    info, held = ClientInfo(PEER, ""), visitor.meta()
    strange = ({}, {"REMOTE_ADDR": PEER}, held | {"REMOTE_ADDR": MALLORY}, Visitor().meta())
    assert forward.headers_for(held, info, may_repeat=True)

    with django_assert_num_queries(0):
        assert [forward.headers_for(meta, info) for meta in strange] == [None] * 4
        assert forward.headers_for(held, info, may_repeat=True)


@proves("V4.1.3", "RFC9700-4.13")
def test_headers_of_peers_that_are_no_proxies_say_nothing(visitor):
    """Withstands a hostile client.

    Neither does a proxy's own address that mallory claims.
    """
    for more in ({"REMOTE_ADDR": MALLORY}, {"REMOTE_ADDR": MALLORY, "HTTP_X_FORWARDED_FOR": PEER}):
        assert visitor.ask(**more).status_code == 403
        assert answer(Applications().short, visitor.environ(**more)).status.startswith("403")


@pytest.mark.parametrize(
    "fields",
    [
        {"is_first_party": False},
        {"is_first_party": False, "source": Client.Source.REGISTRATION},
        {"redirect_uris": [f"https://{EVIL}/"]},
        {"redirect_uris": [forward_callback(WIKI)]},
    ],
)
def test_an_app_that_no_operator_has_registered_for_that_is_no_host(visitor, fields):
    """Withstands a malicious app."""
    Client.objects.create(
        **{"pk": SHOP, "is_first_party": True, "redirect_uris": [forward_callback(SHOP)]} | fields
    )

    assert visitor.ask(SHOP).status_code == 403


COOKIES: dict[str, Callable[[str], str]] = {
    "none": lambda _cookie: "",
    "another tag": lambda cookie: f"{COOKIE}={cookie[:-1]}{'0' if cookie[-1] != '0' else '1'}",
    "no tag": lambda cookie: f"{COOKIE}={cookie[:32]}",
    "not ASCII": lambda cookie: f"{COOKIE}={cookie[:32]}é",
    "made up": lambda _cookie: COUNTERFEIT,
    "twice": lambda cookie: f"{COOKIE}={cookie}; {COOKIE}={cookie}",
    "after a false one": lambda cookie: f"{COOKIE} =x; {COOKIE}={cookie}",
    "another name": lambda cookie: f"x{COOKIE}={cookie}",
    "in a value": lambda cookie: f'a="{COOKIE}={cookie}"',
}


def test_only_one_genuine_cookie_counts(visitor):
    """Withstands a forger."""
    for kind, made_of in COOKIES.items():
        sent = made_of(visitor.cookies[WIKI])

        assert visitor.ask(HTTP_COOKIE=sent).status_code == 401, kind


def test_the_app_sees_no_cookie_of_this_site_however_it_is_written(visitor):
    """Withstands a malicious app."""
    held = visitor.cookies[WIKI]
    for sent, others in (
        (f"{COOKIE}={held}", ""),
        (f" ;a=1;  {COOKIE} = {held};;b=\xe9;c", "a=1; b=\xe9; c"),
    ):
        found = answer(Applications().ordinary, visitor.environ(HTTP_COOKIE=sent))
        assert found.headers.get("cookie") == others


def test_the_cookie_of_one_host_opens_no_other_and_no_page_of_this_site(visitor, client):
    protect(SHOP)
    stolen = f"{COOKIE}={visitor.cookies[WIKI]}"

    assert visitor.ask(SHOP, HTTP_COOKIE=stolen).status_code == 401
    for name in ("sessionid", COOKIE):
        client.cookies[name] = visitor.cookies[WIKI]
        assert client.get("/").status_code == 302


def test_a_stolen_cookie_is_useless_in_another_kind_of_browser(visitor, settings):
    """Withstands a thief with a cookie."""
    other = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    assert visitor.ask(HTTP_USER_AGENT=other).status_code == 401
    assert visitor.ask().status_code == 200

    set_up(settings, session_protection_network="on")
    assert visitor.ask(HTTP_X_FORWARDED_FOR=MALLORY).status_code == 401


def test_a_code_that_another_browser_began_signs_nobody_in(wiki, alice):
    """Withstands a hostile website: login CSRF at an app.

    Otherwise alice would write into the wiki as mallory (login CSRF).
    """
    mallory, victim = Visitor(make_user("mallory")), Visitor(alice)
    victim.open(victim.ask()["Location"])

    found = victim.open(mallory.code())

    assert urlsplit(found["Location"]).path == AUTHORIZE
    assert victim.ask().status_code == 401
    stranger = Visitor()
    assert stranger.open(mallory.code()).status_code == 400
    assert stranger.cookies == {}


def test_a_code_works_once_and_only_at_its_host(wiki, alice):
    """Withstands an attacker of apps."""
    protect(SHOP)
    visitor = Visitor(alice)
    code = visitor.code()
    verifier = visitor.cookies[WIKI]
    visitor.cookies[SHOP] = verifier
    visitor.open(code.replace(WIKI, SHOP))
    assert visitor.ask(SHOP).status_code == 401
    visitor.open(code)
    assert visitor.ask().status_code == 200

    thief = Visitor()
    thief.cookies[WIKI] = verifier
    again = thief.open(code)

    assert urlsplit(again["Location"]).path == AUTHORIZE
    assert thief.ask().status_code == 401


def test_a_cookie_that_somebody_planted_is_worth_nothing_after_the_sign_in(wiki, alice):
    visitor = Visitor(alice)
    visitor.cookies[WIKI] = planted = VERIFIER
    visitor.visit()

    assert visitor.cookies[WIKI] != planted
    assert visitor.ask(HTTP_COOKIE=f"{COOKIE}={planted}").status_code == 401


def test_nobody_else_gets_tokens_for_a_host_even_with_the_verifier_or_as_a_device(
    wiki, alice, client
):
    """Withstands an attacker of apps."""
    visitor = Visitor(alice)
    visitor.cookies[WIKI] = VERIFIER
    code = visitor.code().partition("code=")[2].partition("&")[0]
    sent = f"grant_type=authorization_code&client_id={WIKI}&code={code}&code_verifier={VERIFIER}"
    sent += f"&redirect_uri={quote(forward_callback(WIKI), safe='')}"

    for path, form in (("token", sent), ("device_authorization", f"client_id={WIKI}")):
        assert client.post(f"/oauth/{path}", form, content_type=FORM).status_code == 401


REFUSED = (
    *(f"response_mode={mode}" for mode in ("form_post", "fragment", "query.jwt")),
    *(f"response_type={kind}" for kind in ("token", "code+id_token", "none")),
    *("request=x", "request_uri=x", "claims=x", "id_token_hint=x", f"resource=https://{EVIL}"),
    *("scope=openid+offline_access", "code_challenge_method=plain", "prompt=create"),
)
ASKED = ("prompt=login", "prompt=select_account", "max_age=0")
GRANTED = ("prompt=none", "prompt=consent", "login_hint=mallory", "acr_values=x", "scope=openid")


@pytest.mark.parametrize("changed", REFUSED + ASKED + GRANTED)
def test_a_link_with_other_parameters_gives_nobody_a_code_and_no_more_access(wiki, alice, changed):
    visitor, name = Visitor(alice), changed.partition("=")[0]
    begun = visitor.open(visitor.ask()["Location"])["Location"]
    url = re.sub(rf"\b{name}=[^&]*&?", "", begun[begun.index(AUTHORIZE) :])
    found = visitor.site.get(f"{url}&{changed}")["Location"]

    if changed in ASKED:
        assert found.startswith("/oauth/continue/")
        return
    assert urlsplit(found).netloc == WIKI
    assert ("code=" in found, "error=" in found) == (changed in GRANTED, changed in REFUSED)
    assert visitor.open(found).status_code == (400 if changed in REFUSED else 303)
    assert visitor.ask().status_code == (401 if changed in REFUSED else 200)


NO_PATHS = (
    *(f"https://{EVIL}/", f"https:{EVIL}", f"@{EVIL}", f".{EVIL}", f":80@{EVIL}"),
    *("javascript:alert(1)", "", "*", "/a\r\nX: y", "/é", f"/{'a' * 2048}", "/" * 9000),
)
PATHS = (
    *(f"//{EVIL}/", f"///{EVIL}", f"/\\{EVIL}", f"/../../{EVIL}", f"/{'a' * 2047}"),
    *("/a?b=//c#d", "/%0d%0aX:y", f"{CALLBACK}?state=//{EVIL}"),
)


@pytest.mark.parametrize("path", NO_PATHS + PATHS, ids=range(len(NO_PATHS + PATHS)))
def test_a_sign_in_never_leads_to_another_host(alice, wiki, path):
    """Withstands a hostile website."""
    visitor = Visitor(alice)
    forwarded = visitor.ask(HTTP_X_FORWARDED_URI=path)["Location"]
    typed = f"{forward_callback(WIKI)}?state={quote(path)}"

    for url in (forwarded, typed):
        landed = visitor.open(visitor.code(url))["Location"]
        again = visitor.open(url)["Location"]
        assert {urlsplit(found).netloc for found in (forwarded, landed, again)} == {WIKI}
        assert landed == again == f"https://{WIKI}{path if path in PATHS else '/'}"
        visitor.cookies.clear()


def test_a_form_that_is_sent_too_late_and_what_a_page_loads_are_refused_without_a_redirect(wiki):
    """Withstands an accident.

    A redirect would lose the form, or repeat it as a GET; a picture would begin a sign-in.
    """
    for more in (
        *({"HTTP_X_FORWARDED_METHOD": method} for method in ("POST", "DELETE", "get", "")),
        *({"HTTP_SEC_FETCH_MODE": mode} for mode in ("no-cors", "cors", "websocket")),
    ):
        found = Visitor().ask(**more)
        assert found.status_code == 401
        assert "Location" not in found
        assert 'http-equiv="refresh"' not in found.text
        assert f'href="https://{WIKI}/"' in found.text


def test_a_person_hides_no_group_by_asking_for_fewer_scopes(alice, wiki):
    """Withstands another member."""
    alice.groups.add(Group.objects.create(name="Banned"))
    visitor = Visitor(alice)
    begun = visitor.open(visitor.ask()["Location"])["Location"].replace("+groups", "")
    visitor.open(visitor.site.get(begun[begun.index(AUTHORIZE) :])["Location"])

    assert visitor.ask()["Remote-Groups"] == "Banned"


def test_the_short_path_gives_each_person_their_own_headers_and_djangos_answer(visitor):
    """Withstands another member."""
    bob = Visitor(make_user("bob"))
    bob.visit()
    apps = Applications()
    answer(apps.short, bob.environ())

    for somebody, name in ((visitor, "alice"), (bob, "bob"), (visitor, "alice")):
        short = answer(apps.short, somebody.environ())
        assert short.headers["remote-user"] == name
        assert short == answer(apps.ordinary, somebody.environ())
    assert apps.passed_on == 1


def test_conditions_and_other_headers_of_browsers_do_not_change_the_answer(visitor):
    """Withstands a hostile client.

    nginx answers 500 if this site answers 304 or 206.
    """
    for more in (
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_IF_MATCH": '"x"'},
        {"HTTP_IF_MODIFIED_SINCE": "Mon, 30 Nov 2099 00:00:00 GMT", "HTTP_RANGE": "bytes=0-1"},
        {"HTTP_ORIGIN": f"https://{EVIL}", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"},
        {"HTTP_AUTHORIZATION": "Bearer x", "HTTP_DPOP": "x", "QUERY_STRING": "a=1"},
    ):
        assert visitor.ask(**more).status_code == 200, more


def test_no_cookie_of_this_site_is_set_or_deleted_on_the_host_of_an_app(visitor):
    """The app may use a cookie of the same name."""
    for path in (CHECK, f"{CALLBACK}?error=x", f"{CALLBACK}?code=x"):
        meta = Visitor().meta(HTTP_COOKIE="sessionid=x; csrftoken=y; known=z")
        found = Browser().get(path, **meta)
        assert not found.cookies.keys() - {COOKIE}
