"""Floods of wrong passwords, which must block nobody elsewhere."""

import json
import time
from threading import Event

import pytest
from django.test import Client as Browser

from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.throttle.limits import LOGIN_NETWORK
from tests.support.site import Site, together
from tests.support.steps import LOGOUT, WRONG, join, make_user, sign_in, sign_up

GUESSES = 1500
NAMES = 50
FLOOD_SECONDS = 60.0
# Two thousand requests a second, if the machine is fast enough.
FLOOD_REQUESTS = 120_000
FLOOD_CLIENTS = 48
HEALTH_SECONDS = 2.0


def ip(i):
    """Return an IP address of one /56, each in a /64 of its own up to 256."""
    return f"2001:db8:0:{i % 256:x}::{i:x}"


@pytest.mark.django_db
def test_a_flood_from_one_ipv6_56_blocks_nobody_else(clock, hashes):
    make_user("member0")
    make_user("member1")
    hers = Browser(REMOTE_ADDR=ip(0))
    sign_in(hers, "member0")
    hers.post(LOGOUT)
    hashes.clear()

    for i in range(GUESSES):
        with pytest.raises((InvalidCredentials, RateLimited)):
            verify_password(f"member{i % NAMES}", WRONG, ClientInfo(ip(i), ""))

    assert len(hashes) == LOGIN_NETWORK.times(2).burst, "the budget of a /56"
    assert sign_in(hers, "member0").status_code == 302
    assert sign_in(Browser(REMOTE_ADDR="192.0.2.1"), "member1").status_code == 302
    assert sign_up(Browser(REMOTE_ADDR="192.0.2.1"), "stranger").status_code == 302


@pytest.mark.proof
@pytest.mark.alone
def test_a_flood_of_refused_sign_ins_leaves_room_for_health_checks_and_members():
    with Site(TRUSTED_PROXIES="127.0.0.1", LOG_LEVEL="error") as site:
        member = site.client(X_Forwarded_For="203.0.113.1")
        join(site, member, "alice")
        member.post(LOGOUT, form="/")
        body = json.dumps({"username": "mallory", "password": WRONG}).encode()
        headers = {"Content-Type": "application/json", "X-Forwarded-For": "198.51.100.1"}
        over = Event()

        def flood():
            connection = site.client().connection()
            refused = 0
            while not over.is_set() and refused < FLOOD_REQUESTS / FLOOD_CLIENTS:
                connection.request("POST", "/api/v1/token/", body, headers)
                answer = connection.getresponse()
                answer.read()
                refused += answer.status == 429
            connection.close()
            return refused

        def check_health():
            worst = 0.0
            while not over.wait(0.2):
                began = time.monotonic()
                assert site.client().get("/health/live").status == 200
                worst = max(worst, time.monotonic() - began)
            return worst

        def use_the_site():
            end, times = time.monotonic() + FLOOD_SECONDS, 0
            try:
                while time.monotonic() < end:
                    assert sign_in(member, "alice").location == "/"
                    member.post(LOGOUT, form="/")
                    times += 1
                    time.sleep(1)  # A person who signs in more often reaches a limit of their own.
            finally:
                over.set()
            return times

        acts = [check_health, use_the_site, *[flood] * FLOOD_CLIENTS]
        worst, sign_ins, *refused = together(len(acts), lambda i: acts[i]())

        assert worst < HEALTH_SECONDS
        assert sign_ins > FLOOD_SECONDS / 10
        assert sum(refused) > FLOOD_SECONDS * 100
