"""Races between two server processes over authorization requests."""

import json
import re
from urllib.parse import urlencode

from tests.support.apps import WEB
from tests.support.authorize import AUTHORIZE, CHALLENGE
from tests.support.nodes import AT_ONCE
from tests.support.races import WAITS, confirmed, tabs_of
from tests.support.site import Site, together
from tests.support.steps import sql

# Holds the lock of the account, as a disconnection does, while a first-party app gets more scopes
# than before, and prints whether that waits for the account without a lock of the connection.
GROWING = f"""{WAITS}
from threading import Thread
from django.db import OperationalError, transaction
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.oauth import devices
from accounts.oauth.models import Client
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


def app_at(nodes):
    """Return the client ID of an app at the site of ``nodes``, which all rounds share."""
    if found := sql(nodes[0], "SELECT id FROM oauth_client WHERE name = ?", "Raced"):
        return str(found[0][0])
    added = nodes[0].manage("add_client", "Raced", "--redirect-uri", WEB, "--public", "--json")
    return str(json.loads(added)["client_id"])


def eight_tabs_that_allow_one_request(nodes, name):
    """One tab sends the browser back with a code; the others say that the request is over."""
    owner = confirmed(nodes, name)
    query = {"client_id": app_at(nodes), "redirect_uri": WEB, "response_type": "code"}
    query |= {"scope": "openid", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    here = owner.get(f"{AUTHORIZE}?{urlencode(query)}").location
    page = owner.get(here).text
    session = re.search(r'name="session" value="([^"]+)"', page)
    assert session, page
    form, token = {"act": "allow", "session": session[1]}, owner.csrf(here)
    tabs = tabs_of(nodes, owner)

    def act(i):
        return tabs[i].post(here, form, csrf=token)

    answers = together(AT_ONCE, act)

    assert sorted(answer.status for answer in answers) == [200] + [400] * (AT_ONCE - 1)
    (led_back,) = [answer for answer in answers if answer.status == 200]
    assert f"url={WEB}?code=" in led_back.text
    codes = "SELECT c.digest FROM oauth_authorizationcode c JOIN accounts_user u"
    assert len(sql(nodes[0], f"{codes} ON u.id = c.user_id WHERE u.username = ?", name)) == 1


RACES = [eight_tabs_that_allow_one_request]


def test_eight_tabs_at_two_processes_get_one_code(nodes):
    eight_tabs_that_allow_one_request(nodes, "tabsofonerequest")


def test_more_scopes_for_a_first_party_app_do_not_deadlock_with_a_disconnection(tmp_path, postgres):
    site = Site(data_dir=tmp_path, DATABASE_URL=postgres.database())
    site.make_database()

    says = site.manage("shell", "--no-imports", "-c", GROWING)

    assert says.splitlines() == ["True True", "openid email"]
