"""Back-channel logout of a running site with two nodes: who is told, how often and how soon."""

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.support.process import within
from tests.support.receiver import Receiver, hang
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import join

LOGOUT = "/accounts/logout/"
# Python imports a ``sitecustomize`` module at each start. ``requests`` trusts what certifi names.
TRUST = "import certifi\ncertifi.where = lambda: {authority!r}\n"
# Signs the person in to 20 apps from each of their browsers.
CONNECT = """
from accounts.oauth.models import Client
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
for number in range(20):
    path = f"/{{'work' if number % 2 else 'hang'}}{{number}}"
    app, _ = Client.objects.get_or_create(
        name=path, backchannel_logout_uri="{url}" + path, backchannel_logout_is_private=True
    )
    for session in LoginSession.objects.filter(kind="browser"):
        connected.new(session, app.pk, "openid", "", is_offline=False).save(force_insert=True)
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Site, Site, Receiver]]:
    with Receiver(tmp_path) as receiver:
        for number in range(0, 20, 2):
            receiver.answers[f"/hang{number}"] = hang
        hook = TRUST.format(authority=str(receiver.authority))
        (tmp_path / "sitecustomize.py").write_text(hook)
        path = {"PYTHONPATH": f"{tmp_path}:{CHEAP_HASHES['PYTHONPATH'].rpartition(':')[2]}"}
        with Site(**path) as site, site.second() as other:
            yield site, other, receiver


def test_each_app_is_told_once_within_five_seconds_while_others_hang(
    nodes: tuple[Site, Site, Receiver],
) -> None:
    site, _other, receiver = nodes
    browser = site.client()
    join(site, browser, "alice")
    site.manage("shell", "-c", CONNECT.format(url=receiver.url("")))

    began = time.time()
    assert browser.post(LOGOUT, {}).status == 302
    answered = time.time() - began

    works = [f"/work{number}" for number in range(1, 20, 2)]
    assert within(10, lambda: all(receiver.tokens(path) for path in works))
    seconds = max(at - began for path, _form, at in receiver.got if path in works)
    assert (answered < 1, seconds < 5) == (True, True), (answered, seconds)
    # Both nodes look for notices meanwhile.
    time.sleep(2)
    assert all(len(receiver.tokens(path)) == 1 for path in works)
    token = receiver.tokens(works[0])[0]
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"
