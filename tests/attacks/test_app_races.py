"""Races between two server processes over the codes, tokens and proofs of apps and devices."""

import json
import re
from hashlib import sha256
from urllib.parse import urlencode

import pytest

from accounts.common.secrets import REGISTRATION as TEXT
from accounts.oauth.devices import GRANT
from tests.support.api import claims_of
from tests.support.app_races import (
    VERIFIER,
    WEB,
    add_code,
    connect,
    redeem,
    refresh,
    status_with,
    token_call,
)
from tests.support.authorize import posted
from tests.support.devices import PAGE
from tests.support.dpop import ME, TOKEN, Key
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.races import WAITS, confirmed, times_in_history
from tests.support.registration import REGISTER, VALID
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import LOGOUT, sql

# Holds the lock of the account, as a disconnection does, while a first-party app gets more scopes
# than before, and prints whether that waits for the account without a lock of the connection.
GROWING = f"""{WAITS}
from threading import Thread
from django.db import OperationalError, transaction
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.oauth import devices
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest, Connection
from accounts.sessions.models import LoginSession
from accounts.users.models import User

def connection_is_free():
    try:
        with transaction.atomic():
            return len(Connection.objects.select_for_update(nowait=True)) == 1
    except OperationalError:
        return False

alice, later = User.objects.create(username="alice", password="!"), clock.now().replace(year=9999)
times = {{"auth_time": clock.now(), "idle_at": later, "ends_at": later}}
session = LoginSession.objects.create(user=alice, **times)
app = Client.objects.create(name="Paperless", is_first_party=True)
Connection.objects.create(user=alice, client=app, scope="openid")
asked = AuthorizationRequest(client=app, scope="openid email", expires_at=later)
thread = Thread(target=devices.grant, args=(asked, session, Actor()))
with transaction.atomic():
    User.objects.select_for_update(no_key=True).get(pk=alice.pk)
    thread.start()
    print(waits(thread), connection_is_free())
thread.join()
print(Connection.objects.get().scope)
"""
LEFT = """
SELECT s.id FROM accounts_loginsession s JOIN oauth_appsession a ON a.session_id = s.id
WHERE a.client_id = ? AND s.ended_at IS NULL
UNION ALL SELECT s.session_id FROM oauth_authorizationcode s WHERE s.client_id = ?
"""
REGISTRATION_TOKEN = """
INSERT INTO oauth_registrationtoken (id, digest, clients_left, scope, audiences, created_at,
    expires_at)
VALUES (?, ?, 3, 'openid', '[]', CURRENT_TIMESTAMP, '2999-01-01 00:00:00')
"""
SESSIONS = "SELECT session_id FROM oauth_appsession WHERE client_id = ?"


def statuses(answers):
    return sorted(answer.status for answer in answers)


def posting_while_an_app_gets_tokens(nodes, name, page, shown=""):
    """Return what the app held before, and the answers to the app and last to the person.

    The app refreshes half of its tokens and redeems codes. The form is on the page ``shown``.
    """
    owner = confirmed(nodes, name)
    connect(nodes, name)
    codes = [f"{name}{i}" for i in range(AT_ONCE)]
    for code in codes:
        add_code(nodes, name, code)
    held = [json.loads(redeem(nodes, i, name, codes[i]).body) for i in range(AT_ONCE // 2)]
    assert {status_with(nodes, i, tokens) for i, tokens in enumerate(held)} == {200}
    csrf = owner.csrf(shown or page)

    def act(i):
        if i == AT_ONCE - 1:
            return owner.post(page, csrf=csrf)
        if i < len(held):
            return refresh(nodes, i, name, held[i]["refresh_token"])
        return redeem(nodes, i, name, codes[i])

    return held, *together(AT_ONCE, act)


def disconnecting_an_app_that_gets_tokens(nodes, name):
    """No token lives on, whether it came from a code or a refresh, before or after."""
    page = f"/accounts/apps/{name}/"

    held, *answers, page_answer = posting_while_an_app_gets_tokens(nodes, name, page)

    assert page_answer.status == 302
    assert {answer.status for answer in answers} <= {200, 400}
    given = [json.loads(answer.body) for answer in answers if answer.status == 200]
    for i, tokens in enumerate([*held, *given]):
        assert status_with(nodes, i, tokens) == 401
        assert refresh(nodes, i, name, tokens["refresh_token"]).status == 400
    assert sql(nodes[0], LEFT, name, name) == []
    assert times_in_history(nodes, name, "app_disconnected") == 1


def eight_uses_of_one_app_code(nodes, name):
    """One request gets tokens; they end, because the code was used more than once."""
    confirmed(nodes, name)
    connect(nodes, name)
    add_code(nodes, name, name)

    answers = together(AT_ONCE, lambda i: redeem(nodes, i, name, name))

    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    (won,) = [json.loads(answer.body) for answer in answers if answer.status == 200]
    assert {status_with(nodes, i, won) for i in range(2)} == {401}
    assert refresh(nodes, 0, name, won["refresh_token"]).status == 400
    assert len(sql(nodes[0], SESSIONS, name)) == 1
    assert times_in_history(nodes, name, "code_reused") == 1


def using_one_proof_eight_times(nodes, name):
    """One of eight requests gets tokens, although each has a code. One of eight reads the API."""
    confirmed(nodes, name)
    connect(nodes, name)
    for i in range(AT_ONCE):
        add_code(nodes, name, f"{name}{i}")
    key, origin = Key(), nodes[0].origin
    nonce = nodes[1].client().get(ME, headers={"DPoP": "a"}).headers["DPoP-Nonce"]
    proof = key.proof(htu=f"{origin}{TOKEN}", nonce=nonce)

    def redeem(i):
        form = {"grant_type": "authorization_code", "redirect_uri": WEB, "code_verifier": VERIFIER}
        form |= {"client_id": name, "code": f"{name}{i}"}
        return nodes[i % 2].client().post(TOKEN, form, csrf=False, headers={"DPoP": proof})

    answers = together(AT_ONCE, redeem)

    (given,) = [answer for answer in answers if answer.status == 200]
    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    token = json.loads(given.body)["access_token"]
    copied = key.proof("GET", ME, token=token, htu=f"{origin}{ME}", nonce=nonce)
    headers = {"Authorization": f"DPoP {token}", "DPoP": copied}

    read = together(AT_ONCE, lambda i: nodes[i % 2].client().get(ME, headers=headers))

    assert statuses(read) == [200] + [401] * (AT_ONCE - 1)


def device_app(nodes, name):
    """Return the client ID of a new app for devices."""
    words = ("--public", "--device", "--scope", "openid", "offline_access", "profile:read")
    audience = ("--audience", nodes[0].origin)
    added = nodes[0].manage("add_client", name, *words, *audience, "--json")
    return str(json.loads(added)["client_id"])


def codes_for(nodes, client_id):
    form = {"client_id": client_id, "scope": "openid offline_access profile:read"}
    there = browser_at(nodes[1], "198.51.100.7")
    codes: dict[str, str] = there.post("/oauth/device_authorization", form, csrf=False).json()
    return codes


def consent_page(browser, here):
    """Return the path of the consent page, the form of its button, and its CSRF token."""
    session = re.search(r'name="session" value="([^"]+)"', browser.get(here).text)
    assert session
    return here, {"act": "allow", "session": session[1]}, browser.csrf(here)


def type_code(browser, code):
    return consent_page(browser, browser.post(PAGE, {"user_code": code}).location)


def allow(browser, page):
    here, form, token = page
    return browser.post(here, form, csrf=token)


def eight_uses_of_one_device_code(nodes, name):
    """One request gets tokens, which stay valid: a device that gets no answer asks again."""
    app, owner = device_app(nodes, name), confirmed(nodes, name)
    codes = codes_for(nodes, app)
    assert allow(owner, type_code(owner, codes["user_code"])).status == 200

    def act(i):
        return token_call(nodes, i, app, grant_type=GRANT, device_code=codes["device_code"])

    answers = together(AT_ONCE, act)

    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    (won,) = [json.loads(answer.body) for answer in answers if answer.status == 200]
    assert {status_with(nodes, i, won) for i in range(2)} == {200}
    assert len(sql(nodes[0], SESSIONS, app)) == 1


def two_people_who_allow_one_device(nodes, name):
    """One of them is signed in on the device, and the other one is told that it is too late."""
    app = device_app(nodes, name)
    people = [confirmed(nodes, f"{name}{i}") for i in range(2)]
    codes = codes_for(nodes, app)
    pages = [type_code(person, codes["user_code"]) for person in people]

    answers = together(2, lambda i: allow(people[i], pages[i]))

    assert statuses(answers) == [200, 400]
    winner = next(i for i, answer in enumerate(answers) if answer.status == 200)
    given = token_call(nodes, 0, app, grant_type=GRANT, device_code=codes["device_code"])
    token = json.loads(given.body)["access_token"]
    me = nodes[0].client().get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"})
    assert json.loads(me.body)["username"] == f"{name}{winner}"


def eight_uses_of_a_token_for_three_apps(nodes, _name):
    token = TEXT.make()
    sql(nodes[0], REGISTRATION_TOKEN, token.id, sha256(token.text.encode()).hexdigest())
    headers = {"Authorization": f"Bearer {token.text}", "Content-Type": "application/json"}

    def use(i):
        program = browser_at(nodes[i % 2], f"192.0.2.{i + 10}")
        body = json.dumps(VALID).encode()
        return program.request("POST", REGISTER, body=body, headers=headers)

    answers = together(AT_ONCE, use)

    assert statuses(answers) == [201] * 3 + [401] * (AT_ONCE - 3)
    with_it = f"{TEXT.prefix}{token.id[:4]}"
    rows = sql(nodes[0], "SELECT id FROM oauth_client WHERE registered_with = ?", with_it)
    assert len(rows) == 3


def signing_out_while_an_app_gets_tokens(nodes, name):
    """Each refresh token goes on. Access tokens live if their ``sid`` is not one that ended."""
    held, *answers, left = posting_while_an_app_gets_tokens(nodes, name, LOGOUT, "/")

    refreshed, redeemed = answers[: len(held)], answers[len(held) :]
    assert (left.status, statuses(refreshed)) == (302, [200] * len(held))
    assert {answer.status for answer in redeemed} <= {200, 400}
    ended = {sid_of(tokens) for tokens in held}
    ended |= {sid_of(json.loads(answer.body)) for answer in redeemed if answer.status == 200}
    given = [json.loads(answer.body) for answer in answers if answer.status == 200]
    again = [refresh(nodes, i, name, old["refresh_token"]) for i, old in enumerate(given)]
    for i, tokens in enumerate([*held, *given, *(json.loads(new.body) for new in again)]):
        assert (status_with(nodes, i, tokens) == 200) == (sid_of(tokens) not in ended)
    assert not ended & {sid_of(json.loads(new.body)) for new in again}


def eight_uses_of_each_step_of_an_app_without_pkce(nodes, name):
    """One of eight browsers gets a pushed request, one of eight clicks a code, one use tokens."""
    owner, options = confirmed(nodes, name), ("--no-pkce", "--par", "--redirect-uri", WEB)
    app = json.loads(nodes[0].manage("add_client", name, *options, "--json"))
    secrets = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    asked = {"response_type": "code", "redirect_uri": WEB, "scope": "openid", "nonce": "n"}

    def pushed():
        form = secrets | asked | {"response_mode": "form_post"}
        uri = nodes[0].client().post("/oauth/par", form, csrf=False).json()["request_uri"]
        query = urlencode({"client_id": app["client_id"], "request_uri": uri})
        return f"/oauth/authorize?{query}"

    url = pushed()
    opened = together(AT_ONCE, lambda i: browser_at(nodes[i % 2], f"192.0.2.{i + 10}").get(url))
    assert statuses(opened) == [303] + [400] * (AT_ONCE - 1)

    page = consent_page(owner, owner.get(pushed()).location)
    clicks = together(AT_ONCE, lambda _i: allow(owner, page))
    assert statuses(clicks) == [200] + [400] * (AT_ONCE - 1)
    (code,) = {posted(click)["code"] for click in clicks if click.status == 200}

    def use(i):
        form = {"grant_type": "authorization_code", "redirect_uri": WEB, "code": code}
        return token_call(nodes, i, app["client_id"], **form, client_secret=app["client_secret"])

    assert statuses(together(AT_ONCE, use)) == [200] + [400] * (AT_ONCE - 1)
    assert sql(nodes[0], LEFT, app["client_id"], "") == []


def sid_of(tokens):
    return claims_of(tokens["access_token"])["sid"]


RACES = [
    disconnecting_an_app_that_gets_tokens,
    signing_out_while_an_app_gets_tokens,
    eight_uses_of_each_step_of_an_app_without_pkce,
    eight_uses_of_one_app_code,
    using_one_proof_eight_times,
    eight_uses_of_one_device_code,
    two_people_who_allow_one_device,
    eight_uses_of_a_token_for_three_apps,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_of_apps_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: codes, devices and proofs."""
    race(nodes, f"apps{RACES.index(race)}")


@proves("V15.4.3")
def test_more_scopes_for_a_first_party_app_do_not_deadlock_with_a_disconnection(on_postgresql):
    assert on_postgresql(GROWING) == ["True True", "openid email"]
