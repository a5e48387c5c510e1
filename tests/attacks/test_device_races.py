"""Races between two server processes over the codes of devices."""

import json
import re

import pytest

from accounts.oauth.devices import GRANT
from tests.support.app_races import status_with, token_call
from tests.support.devices import PAGE
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.races import confirmed
from tests.support.site import together
from tests.support.steps import sql

SESSIONS = "SELECT session_id FROM oauth_appsession WHERE client_id = ?"


def device_app(nodes, name):
    """Return the client ID of a new app for devices."""
    words = ("--public", "--device", "--scope", "openid", "offline_access", "profile:read")
    audience = ("--audience", nodes[0].origin)
    added = nodes[0].manage("add_client", name, *words, *audience, "--json")
    return str(json.loads(added)["client_id"])


def ask(nodes, client_id):
    form = {"client_id": client_id, "scope": "openid offline_access profile:read"}
    there = browser_at(nodes[1], "198.51.100.7")
    codes: dict[str, str] = json.loads(
        there.post("/oauth/device_authorization", form, csrf=False).body
    )
    return codes


def type_code(browser, code):
    """Return the path of the consent page, the form of its button, and its CSRF token."""
    here = browser.post(PAGE, {"user_code": code}).location
    session = re.search(r'name="session" value="([^"]+)"', browser.get(here).text)
    assert session
    return here, {"act": "allow", "session": session[1]}, browser.csrf(here)


def allow(browser, page):
    here, form, token = page
    return browser.post(here, form, csrf=token)


def eight_uses_of_one_device_code(nodes, name):
    """One request gets tokens, which stay valid: a device that gets no answer asks again."""
    app, owner = device_app(nodes, name), confirmed(nodes, name)
    codes = ask(nodes, app)
    assert allow(owner, type_code(owner, codes["user_code"])).status == 200

    def act(i):
        return token_call(nodes, i, app, grant_type=GRANT, device_code=codes["device_code"])

    answers = together(AT_ONCE, act)

    assert sorted(answer.status for answer in answers) == [200] + [400] * (AT_ONCE - 1)
    (won,) = [json.loads(answer.body) for answer in answers if answer.status == 200]
    assert {status_with(nodes, i, won) for i in range(2)} == {200}
    assert len(sql(nodes[0], SESSIONS, app)) == 1


def two_people_who_allow_one_device(nodes, name):
    """One of them is signed in on the device, and the other one is told that it is too late."""
    app = device_app(nodes, name)
    people = [confirmed(nodes, f"{name}{i}") for i in range(2)]
    codes = ask(nodes, app)
    pages = [type_code(person, codes["user_code"]) for person in people]

    answers = together(2, lambda i: allow(people[i], pages[i]))

    assert sorted(answer.status for answer in answers) == [200, 400]
    winner = next(i for i, answer in enumerate(answers) if answer.status == 200)
    given = token_call(nodes, 0, app, grant_type=GRANT, device_code=codes["device_code"])
    token = json.loads(given.body)["access_token"]
    me = nodes[0].client().get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"})
    assert json.loads(me.body)["username"] == f"{name}{winner}"


RACES = [eight_uses_of_one_device_code, two_people_who_allow_one_device]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_over_devices_at_two_processes_have_one_outcome(nodes, race):
    race(nodes, f"devices{RACES.index(race)}")
