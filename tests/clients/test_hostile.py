"""Hostile requests get the same verdicts from this site as from oidc-provider, which is certified.

The test prints a table with both verdicts of each request. Where one provider takes a request and
the other refuses it, ``reasons.toml`` says why.
"""

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.clients import hostile
from tests.support.clients.hostile import Provider
from tests.support.journey import Journey
from tests.support.node import node, packages
from tests.support.process import free_port, serving
from tests.support.site import ROOT, Client, Site
from tests.support.steps import join

pytestmark = pytest.mark.proof

HERE = ROOT / "tests/clients"
SCOPE = "openid profile email offline_access"
BYE = "https://other.example.org/bye"
# By app: its redirect URI, and where it sends people after they have signed out.
GOODBYES = {"web": hostile.GOODBYE, "other": BYE, "public": hostile.LOOPBACK}
APPS = {name: (uri, GOODBYES[name]) for name, uri in hostile.REDIRECT_OF.items()}

HEAD = f"{'part':10} | {'request':45} | {'oidc-provider':42} | {'this site':42} | why"

type Case = dict[str, Any]


def calling(endpoint, right):
    return lambda at, case: hostile.call(at, endpoint, right | case)


# By part of the table: the requests, and what sends one and returns the verdict.
PARTS: dict[str, tuple[dict[str, Case], Callable[[Provider, Case], str]]] = {
    "authorize": (hostile.cases(), hostile.authorize),
    "token": (hostile.TOKEN, calling("token", hostile.CODE)),
    "refresh": (hostile.REFRESHED, calling("token", hostile.REFRESH)),
    "par": (hostile.PAR, calling("pushed_authorization_request", hostile.PAR_RIGHT)),
    "userinfo": (hostile.USERINFO, calling("userinfo", hostile.USERINFO_RIGHT)),
    "revoke": (hostile.REVOKE, calling("revocation", hostile.ABOUT)),
    "introspect": (hostile.INTROSPECT, calling("introspection", hostile.ABOUT)),
    "logout": (hostile.LOGOUT, lambda at, case: hostile.logout(at, hostile.LOGOUT_RIGHT | case)),
}


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory):
    """Run oidc-provider, with a browser that is signed in."""
    port, folder = free_port(), packages().parent
    shutil.copy(HERE / "yardstick.mjs", folder)
    shared = {"grant_types": ["authorization_code", "refresh_token"], "scope": SCOPE}
    clients = [
        shared
        | {"client_id": name, "redirect_uris": [redirect], "post_logout_redirect_uris": [bye]}
        | (
            {"application_type": "native", "token_endpoint_auth_method": "none"}
            if name == "public"
            else {"client_secret": f"secret-of-{name}"}
        )
        for name, (redirect, bye) in APPS.items()
    ]
    env = os.environ | {"OPTIONS": json.dumps({"port": port, "clients": clients})}
    log = tmp_path_factory.mktemp("yardstick") / "log"
    with serving([node(), folder / "yardstick.mjs"], log, port, env=env):
        browser = Client(f"http://127.0.0.1:{port}")
        at = Provider(browser, {name: (name, f"secret-of-{name}") for name in APPS})
        there = f"{at.path('authorization')}?{urlencode(at.request())}"
        while there.startswith("/"):
            there = browser.get(there).location.removeprefix(at.origin)
        assert "code=" in there
        yield at


@pytest.fixture(scope="module")
def ours():
    """Run the site, with a browser that is signed in and has agreed to all apps."""
    with Site(LIMITS_SCALE="10000") as site:
        apps = {name: _registered(site, name) for name in APPS}
        browser = site.client()
        join(site, browser, "alice")
        at = Provider(browser, apps)
        for name, (redirect, _bye) in APPS.items():
            away = Client(redirect.rpartition("/")[0], connect=("127.0.0.1", site.port))
            query = urlencode(at.request(name) | {"scope": SCOPE})
            journey = Journey(browser, away)
            page = journey.open(f"{site.origin}{at.path('authorization')}?{query}")
            journey.send(page, "Allow")
            assert "code=" in journey.urls[-1]
        yield at


def _registered(site, name):
    redirect, bye = APPS[name]
    words = ["--redirect-uri", redirect, "--post-logout-uri", bye, "--scope", *SCOPE.split()]
    words += ["--public"] if name == "public" else []
    made = json.loads(site.manage("add_client", name, *words, "--json"))
    return made["client_id"], made.get("client_secret", "a secret that a public app has not")


def _kind(verdict):
    """Return what matters of a verdict: which error a program gets does not."""
    return "refused" if verdict[0].isdigit() else verdict.partition(":")[0].partition(" ")[0]


def test_hostile_requests_get_the_verdicts_of_a_certified_provider(yardstick, ours, capsys):
    reasons = tomllib.loads((HERE / "reasons.toml").read_text())
    rows, unexplained, unneeded = [], [], []
    for part, (cases, send) in PARTS.items():
        for name, case in cases.items():
            theirs, own = send(yardstick, case), send(ours, case)
            differ, reason = _kind(theirs) != _kind(own), reasons.get(part, {}).get(name, "")
            rows.append(f"{part:10} | {name:45} | {theirs:42} | {own:42} | {reason}")
            unexplained += [rows[-1]] if differ and not reason else []
            unneeded += [rows[-1]] if reason and not differ else []
    with capsys.disabled():
        sys.stdout.write("\n".join(["", HEAD, *rows, f"{len(rows)} requests", ""]))
    assert len(rows) >= 150
    assert not any("ERROR" in row for row in rows)
    assert not unexplained, "\n" + "\n".join(unexplained)
    assert not unneeded, "\n" + "\n".join(unneeded)
