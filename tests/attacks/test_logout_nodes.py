"""Back-channel logout of a running site with two nodes: who is told, how often and how soon."""

import os
import signal
import time
from contextlib import suppress

import jwt
import pytest

from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.process import within
from tests.support.races import CONNECT, HANGS, WORKS
from tests.support.receiver import Receiver, hang, say
from tests.support.site import CHEAP_HASHES, Site
from tests.support.standards import proves
from tests.support.steps import LOGOUT, join, sql


@pytest.fixture(params=POSTGRES_PROVED)
def nodes(request, tmp_path):
    """A running node, another that a test may start, and the server of the apps."""
    with Receiver(tmp_path) as receiver:
        receiver.answers |= dict.fromkeys(HANGS, hang)
        env = CHEAP_HASHES | database(request, request.param)
        with Site(**env, CA_FILE=str(receiver.authority)) as site:
            yield site, site.second(), receiver


def signed_in_to(site, receiver, paths):
    """Return a browser in which alice is signed in, also to the apps at ``paths``."""
    browser = site.client()
    join(site, browser, "alice")
    site.manage("shell", "-c", CONNECT.format(url=receiver.url(""), paths=paths))
    assert within(60, lambda: "This server sends webhooks and logout notices" in site.log())
    return browser


@proves("V7.6.1")
def test_each_app_is_told_once_within_five_seconds_while_others_hang(nodes):
    site, second, receiver = nodes
    with second:
        browser = signed_in_to(site, receiver, WORKS + HANGS)
        csrf = browser.csrf(LOGOUT)

        began = time.time()
        assert browser.post(LOGOUT, {}, csrf=csrf).status == 302
        answered = time.time() - began

        assert within(10, lambda: all(receiver.tokens(path) for path in WORKS + HANGS))
        seconds = max(at - began for path, _form, at in receiver.got if path in WORKS)
        # A sign-out that waited for one app that hangs would take three seconds.
        assert (answered < 3, seconds < 5) == (True, True), (answered, seconds)
        # Both nodes look for notices meanwhile.
        assert all(len(receiver.tokens(path)) == 1 for path in WORKS)
    token = receiver.tokens(WORKS[0])[0]
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"


def late(request):
    """Accept a notice after a second."""
    time.sleep(1)
    say(200)(request)


def test_a_worker_whose_server_is_killed_completes_what_it_sends_and_ends(nodes):
    """Withstands a failure."""
    site, _second, receiver = nodes
    receiver.answers["/late"] = late
    browser = signed_in_to(site, receiver, ["/late"])
    assert browser.post(LOGOUT, {}).status == 302
    assert within(30, lambda: receiver.tokens("/late"))

    with site.process:
        os.kill(site.process.pid, signal.SIGKILL)
        site.process.wait()
        assert within(30, lambda: not exists(site.process.pid))
    assert sql(site, "SELECT 1 FROM oauth_logoutnotice") == []


def exists(group):
    """Return whether a process of the process group is running."""
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False
