"""Floods of wrong passwords, which must block nobody elsewhere."""

import pytest
from django.test import Client as Browser

from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.throttle.limits import LOGIN_NETWORK
from tests.support.steps import LOGOUT, WRONG, make_user, sign_in, sign_up

GUESSES = 1500
NAMES = 50


def ip(i):
    """Return an IP address of one /56, each in a /64 of its own up to 256."""
    return f"2001:db8:0:{i % 256:x}::{i:x}"


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
