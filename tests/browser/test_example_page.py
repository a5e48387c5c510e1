"""The page ``docs/examples/spa`` in Chromium.

It is served from a configured origin, with and without an injected script, and from others.
"""

import json
import secrets
import time
from contextlib import ExitStack
from functools import partial
from http.cookies import SimpleCookie
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from tests.support.browser_passkeys import add_passkey, enter
from tests.support.browser_steps import member, newcomer
from tests.support.second_factor import SETUP, code_of, seed_on
from tests.support.site import CHEAP_HASHES, ROOT, Site
from tests.support.steps import PASSWORD, WRONG, sql

EXAMPLE = ROOT / "docs" / "examples" / "spa"
# An injected script first records what the page sends.
LISTEN = """
    window.heard = []
    const send = window.fetch
    window.fetch = (address, options) => {
        heard.push(options?.headers?.Authorization ?? '')
        return send(address, options)
    }
"""
# Then the injected script searches for secrets and tries to send them away.
SEARCH = """async api => {
    const answer = await fetch(`${api}session/refresh/`, {
        method: 'POST', credentials: 'include', headers: {'X-Requested-With': 'authsite'}
    })
    const home = await fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')
    return {
        cookies: document.cookie,
        stored: JSON.stringify([{...localStorage}, {...sessionStorage}]),
        databases: (await indexedDB.databases()).length,
        headers: [...answer.headers.keys()],
        body: await answer.json(),
        home
    }
}"""
# A page of another origin tries to use the refresh cookie.
RENEW = """async ([api, headers]) => {
    try {
        const options = {method: 'POST', credentials: 'include', headers}
        const answer = await fetch(`${api}session/refresh/`, options)
        return await answer.text()
    } catch (error) {
        return error.name
    }
}"""
RELOAD = """at => {
    document.getElementById('name').textContent = ''
    setTimeout(() => location.reload(), at - Date.now())
}"""
CREATE = """async () => {
    const { accounts } = await import('/app.js')
    return (await accounts.create('me/exports/')).status
}"""
POST_FORM = """api => {
    const form = document.body.appendChild(document.createElement('form'))
    Object.assign(form, {method: 'post', enctype: 'text/plain', action: `${api}session/refresh/`})
    form.submit()
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the example page, which the three origins serve."""
    return tmp_path_factory.mktemp("spa")


@pytest.fixture(scope="module")
def origins(folder):
    """Three origins: a configured one, another of the same site, and one of another site."""
    hosts = {"named": "localhost", "sibling": "localhost", "foreign": "127.0.0.1"}
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ExitStack() as stack:
        urls = {}
        for name, host in hosts.items():
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            stack.callback(server.shutdown)
            Thread(target=server.serve_forever, daemon=True).start()
            urls[name] = f"http://{host}:{server.server_port}"
        yield urls


@pytest.fixture(scope="module")
def site(origins, folder):
    settings = {
        "CORS_ORIGINS": origins["named"],
        "LIMITS_SCALE": "100",
        "PASSKEY_ORIGINS": origins["named"],
    }
    with Site(**settings, **CHEAP_HASHES) as site:
        for file in EXAMPLE.iterdir():
            text = file.read_text().replace("http://localhost:8000", site.origin)
            (folder / file.name).write_text(text)
        yield site


def sign_in(page, origin, username):
    page.goto(origin)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def greets(page, name):
    expect(page.locator("#account")).to_contain_text(f"Hello, {name}.")
    # The page writes the name before it shows the account.
    expect(page.locator("#account")).to_be_visible()


def api(site):
    return f"{site.origin}/api/v1/"


def test_the_example_page_signs_in_survives_a_reload_and_signs_out_everywhere(
    site, open_page, origins
):
    person = newcomer(site, "alice")
    seed = seed_on(person.get(SETUP).text)
    assert person.post(SETUP, {"code": code_of(seed)}).status == 302
    name = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    sql(site, "UPDATE accounts_user SET display_name = ? WHERE username = 'alice'", name)
    page = open_page(site, expect=(401,))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    sign_in(page, origins["named"], "alice")
    page.get_by_label("Code", exact=True).fill(code_of(seed, 1))
    page.get_by_role("button", name="Go on").click()
    greets(page, name)
    expect(page.locator("#account img, #account script")).to_have_count(0)
    expect(page.locator("#places")).to_contain_text("(here)")

    page.reload()
    greets(page, name)
    tab = page.context.new_page()
    tab.goto(origins["named"])
    greets(tab, name)

    tab.get_by_role("button", name="Sign out everywhere").click()
    for one in (tab, page):
        expect(one.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert sql(site, "SELECT count(*) FROM accounts_loginsession WHERE ended_at IS NULL") == [(0,)]


def test_5_3_neither_a_script_nor_another_origin_can_read_the_refresh_token(
    site, chromium, origins
):
    member(site, "bob")
    with chromium.new_context() as context:
        page = context.new_page()
        page.add_init_script(LISTEN)
        sign_in(page, origins["named"], "bob")
        greets(page, "bob")
        refresh = next(c["value"] for c in context.cookies() if c["name"] == "refresh")
        found = page.evaluate(SEARCH, api(site))
        assert (found["cookies"], found["stored"], found["databases"]) == ("", "[{},{}]", 0)
        assert "set-cookie" not in found["headers"]
        assert set(found["body"]) == {"access", "token_type", "expires_in", "scope"}
        assert refresh not in json.dumps(found)
        assert found["home"] == "stopped"
        # The script does get an access token, which a lockdown revokes at once.
        token = next(heard for heard in page.evaluate("heard") if heard)
        assert status_of(site, token) == 200

        before = digests(site)
        for where in ("sibling", "foreign"):
            thief = context.new_page()
            thief.goto(f"{origins[where]}/app.js")
            # CORS hides the answers to fetch from the page, and the site refuses the form.
            for headers in ({"X-Requested-With": "authsite"}, {}):
                assert thief.evaluate(RENEW, [api(site), headers]) == "TypeError", where
            with thief.expect_navigation():
                thief.evaluate(POST_FORM, api(site))
            assert "code" in thief.locator("body").inner_text(), where
        assert digests(site) == before

        page.reload()
        greets(page, "bob")
        browser = site.client()
        browser.post("/accounts/login/", {"login": "bob", "password": PASSWORD})
        assert browser.post("/accounts/sessions/", {"others": "1"}).status == 302
        assert status_of(site, token) == 401
        headers = {"X-Requested-With": "authsite"}
        assert "token_not_valid" in page.evaluate(RENEW, [api(site), headers])


@pytest.fixture
def bob(site, chromium, origins):
    """A page of the example in which somebody new has signed in."""
    username = f"bob{secrets.token_hex(4)}"
    member(site, username)
    with chromium.new_context() as context:
        page = context.new_page()
        sign_in(page, origins["named"], username)
        greets(page, username)
        yield SimpleNamespace(page=page, context=context, name=username)


def live(site, username):
    """Return the number of live sessions of a person."""
    question = """
        SELECT count(*) FROM accounts_loginsession session
        JOIN accounts_user person ON person.id = session.user_id
        WHERE ended_at IS NULL AND username = ?
    """
    return sql(site, question, username)[0][0]


def lose_first(page, path):
    """Lose the first answer to a call of the API; return the list to which its status is added."""
    lost = []

    def lose(route):
        if lost:
            return route.continue_()
        held = page.context.cookies()
        lost.append(route.fetch().status)
        # The browser would have the new cookie only if the answer had come.
        page.context.clear_cookies()
        page.context.add_cookies(held)
        return route.abort()

    page.route(f"**/api/v1/{path}", lose)
    return lost


def test_a_page_repeats_a_refresh_whose_answer_is_lost(site, bob):
    lost = lose_first(bob.page, "session/refresh/")
    bob.page.reload()

    greets(bob.page, bob.name)
    assert (lost, live(site, bob.name)) == ([200], 1)


def test_a_page_repeats_a_sign_in_whose_answer_is_lost(site, chromium, origins):
    member(site, "dave")
    with chromium.new_context() as context:
        page = context.new_page()
        lost = lose_first(page, "session/")
        sign_in(page, origins["named"], "dave")

        greets(page, "dave")
    assert lost == [200]


def test_a_page_whose_creating_call_gets_no_answer_creates_one_object(site, bob):
    lost = lose_first(bob.page, "me/exports/")

    assert bob.page.evaluate(CREATE) == 202
    count = "SELECT count(*) FROM accounts_export e JOIN accounts_user u ON u.id = user_id"
    assert (lost, sql(site, f"{count} WHERE username = ?", bob.name)) == ([202], [(1,)])


def test_a_page_whose_module_does_not_load_says_so_and_tries_again(bob):
    bob.page.route("**/client/authsite-1.js", lambda route: route.abort())
    bob.page.reload()
    expect(bob.page.locator("#message")).to_contain_text("can’t be reached")
    bob.page.unroute("**/client/authsite-1.js")

    greets(bob.page, bob.name)


@pytest.mark.parametrize("status", [429, 503])
def test_a_page_signs_nobody_out_while_the_site_does_not_answer(site, bob, origins, status):
    cors = {
        "Access-Control-Allow-Origin": origins["named"],
        "Access-Control-Allow-Credentials": "true",
    }
    bob.page.route(
        "**/session/refresh/",
        lambda route: route.fulfill(status=status, headers=cors, body="{}"),
    )
    bob.page.reload()
    expect(bob.page.locator("#message")).to_contain_text("can’t be reached")
    expect(bob.page.locator("#sign-in")).to_be_hidden()
    bob.page.unroute("**/session/refresh/")

    greets(bob.page, bob.name)
    assert live(site, bob.name) == 1


def test_a_page_that_was_offline_goes_on_when_it_is_online(bob):
    greets(bob.page, bob.name)
    bob.context.set_offline(True)
    bob.page.get_by_label("Your name").fill("Bobby")
    bob.page.get_by_role("button", name="Change the name").click()
    expect(bob.page.locator("#message")).to_contain_text("can’t be reached")
    expect(bob.page.locator("#sign-in")).to_be_hidden()

    bob.context.set_offline(False)
    greets(bob.page, bob.name)


def test_four_tabs_refresh_one_after_the_other_and_keep_their_session(site, bob):
    running, most = [], []

    def forward(route):
        running.append(route)
        most.append(len(running))
        answer = route.fetch()
        running.remove(route)
        route.fulfill(response=answer)

    tabs = [bob.page, *(bob.context.new_page() for _ in range(3))]
    for tab in tabs[1:]:
        tab.goto(bob.page.url)
        greets(tab, bob.name)
    bob.context.route("**/session/refresh/", forward)
    at = (time.time() + 1) * 1000
    for tab in tabs:
        # Only the page that is loaded again greets.
        tab.evaluate(RELOAD, at)
    for tab in tabs:
        greets(tab, bob.name)

    assert set(most) == {1}
    assert live(site, bob.name) == 1


def test_a_page_signs_in_with_a_passkey_alone_or_as_the_second_step(site, open_page, origins):
    page = open_page(site, expect=(401,))
    enter(page, site, "passkey-alice")
    add_passkey(page)
    page.goto(origins["named"])
    page.locator("#passkey").click()

    greets(page, "passkey-alice")

    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("#sign-in")).to_be_visible()
    sign_in(page, origins["named"], "passkey-alice")
    page.locator("#key").click()
    greets(page, "passkey-alice")


def test_a_page_asks_for_the_password_again_when_the_last_proof_is_old(site, bob):
    sql(site, "UPDATE accounts_loginsession SET auth_time = '2026-01-01 00:00:00'")
    for password in (WRONG, PASSWORD):
        bob.page.get_by_label("Your name").fill("Bobby")
        bob.page.get_by_role("button", name="Change the name").click()
        bob.page.get_by_label("Password or code").fill(password)
        bob.page.get_by_role("button", name="Confirm").click()
        greets(bob.page, "Bobby" if password == PASSWORD else bob.name)


def test_a_thief_of_the_refresh_token_and_its_owner_are_both_signed_out(site, bob):
    token = next(one["value"] for one in bob.context.cookies() if one["name"] == "refresh")
    headers = {"X-Requested-With": "authsite", "Origin": site.origin}
    thief = site.client()
    thief.cookies.update(SimpleCookie({"refresh": token}))
    for _ in range(2):
        answer = thief.request("POST", "/api/v1/session/refresh/", headers=headers)
        assert answer.status == 200, answer.text
    bob.page.reload()

    expect(bob.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert live(site, bob.name) == 0


def status_of(site, token):
    """Return the status of ``me/`` for an ``Authorization`` header."""
    return site.client().get("/api/v1/me/", headers={"Authorization": token}).status


def digests(site):
    return sql(site, "SELECT id, refresh_digest, ended_at FROM accounts_loginsession ORDER BY id")
