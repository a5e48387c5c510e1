"""The library openid-client registers an app (RFC 7591) and signs somebody in to it."""

import json
import os
import shutil
import subprocess

import pytest

from tests.support.app_races import WEB
from tests.support.clients.apps import HERE
from tests.support.journey import Journey
from tests.support.node import node, packages
from tests.support.races import confirmed


def next_line(app):
    assert app.stdout
    return json.loads(app.stdout.readline())


@pytest.mark.proof
def test_openid_client_registers_an_app_and_signs_alice_in(default_site):
    made = ("registration_token", "--scope", "email", "offline_access", "--json")
    token = json.loads(default_site.manage(*made))["registration_token"]
    options = {"issuer": default_site.origin, "token": token, "redirectUri": WEB}
    browser = confirmed((default_site, default_site), "registered")
    shutil.copy(HERE / "register.mjs", folder := packages(HERE).parent)

    with subprocess.Popen(
        [node(), folder / "register.mjs"],
        env=os.environ | {"OPTIONS": json.dumps(options)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as app:
        registered = next_line(app)
        assert app.stdin
        journey = Journey(browser)
        with pytest.raises(KeyError, match="paperless"):
            journey.send(journey.open(registered["url"]), "Allow")
        print(journey.urls[-1], file=app.stdin, flush=True)
        signed_in = next_line(app)

    assert app.returncode == 0
    assert registered["metadata"]["scope"] == "openid email offline_access"
    assert signed_in["claims"]["aud"] == registered["metadata"]["client_id"]
    assert signed_in["renewed"] == "bearer"
