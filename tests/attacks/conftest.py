"""Fixtures that the attack tests share."""

import socket

import pytest
from django.db import connection
from django.test import Client

from accounts.common import client_info, http_client
from tests.support.api_input import Target, storable
from tests.support.disputes import known_browser
from tests.support.nodes import running
from tests.support.receiver import PUBLIC
from tests.support.signin import set_up
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import make_user


@pytest.fixture
def home(clock):
    """A signed-out browser that alice's account has known for two months."""
    browser = known_browser(make_user("alice"))
    clock.advance(days=60)
    return browser


@pytest.fixture(scope="session")
def nodes():
    """Two server processes on one SQLite database, without limits, with cheap hashes.

    All races share them, and the database keeps what earlier tests have stored. On PostgreSQL,
    ``test_fifty_rounds`` runs the same races.
    """
    with running(LIMITS_SCALE="1000", **CHEAP_HASHES) as both:
        yield both


@pytest.fixture
def on_postgresql(postgres, tmp_path):
    """Return a function that runs a program at a new site, and returns the lines of its output."""
    site = Site(data_dir=tmp_path, DATABASE_URL=postgres.database())
    site.make_database()
    return lambda code: site.manage("shell", "--no-imports", "-c", code).splitlines()


@pytest.fixture
def target(db, settings):
    """The API in process, without limits. Fail if the test changed alice or the tables."""
    set_up(settings, limits_scale=100_000)
    make_user("alice")
    target = Target(Client())
    before = target.made()
    with connection.execute_wrapper(storable):
        yield target
    assert target.made() == before


@pytest.fixture
def connections(monkeypatch):
    """The IP addresses that are connected to. The receiver's counts as public; others refuse."""
    begun: list[str] = []
    connect, judge = socket.socket.connect, client_info.is_public

    def noted(self, address):
        begun.append(address[0])
        if address[0] != PUBLIC:
            raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    monkeypatch.setattr(http_client, "is_public", lambda a: a == PUBLIC or judge(a))
    return begun
