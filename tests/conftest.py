"""Fixtures for all tests. Those for Chromium are in ``tests.support.browser``."""

import dataclasses
import functools
import shutil
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.db.models.signals import post_migrate
from django.test.client import ClientHandler
from xdist.scheduler import LoadFileScheduling

from accounts.common import clock as site_clock
from accounts.common import http_client
from accounts.passwords import hashers
from accounts.passwords.hashers import Argon2id
from accounts.throttle import services as throttle
from accounts.tokens import keyring, keys
from tests.support import env
from tests.support.api import get_tokens
from tests.support.https import LocalHttps
from tests.support.openid_provider import OpenIDProvider
from tests.support.process import LATER_SECONDS, within
from tests.support.receiver import Receiver
from tests.support.services import Postgres, Redis
from tests.support.signin import Clock, signed_in
from tests.support.site import CHEAP_HASHES, Site, migrated
from tests.support.social import configured
from tests.support.steps import make_user

pytest_plugins = [
    "tests.support.browser",
    "tests.support.document_host",
    "tests.support.forward",
]

BROWSER = "tests/browser/"
# Names that a module imports, or fixtures that its tests use, if it starts servers.
SERVERS = {"Site", "LocalHttps", "Nodes", "Process", "production", "running"}
SERVER_FIXTURES = {"chromium", "default_site", "https", "nodes", "postgres", "redis_server", "site"}
# By size, so that two workers that take them in turn have about the same work.
BROWSER_FILES = sorted((env.ROOT / BROWSER).glob("test_*.py"), key=lambda f: -f.stat().st_size)
# The RSA keys that tests in this process have generated.
RSA_KEYS: list[Any] = []
# OpenSSL takes a tenth of a second to check an RSA key. No test changes a key.
load_once = functools.cache(keys.load_pem_private_key)
# On a busy machine, a thread of low priority would take tens of seconds for a cheap hash.
hashers.NICENESS = 0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(site_clock, "_now", clock.now)
    return clock


@pytest.fixture
def alice(db):
    return make_user("alice")


@pytest.fixture
def token(alice):
    """An access token of alice, who has signed in with her password just now."""
    return str(get_tokens()["access"])


@pytest.fixture
def browser(alice):
    """A browser in which alice is signed in with her password."""
    return signed_in(alice)


@pytest.fixture(autouse=True)
def _nothing_is_left_for_the_next_test():
    """Forget signing keys, whose rows are rolled back, and refusals; wait for hanging fetches.

    Fetches hold slots that the next test needs.
    """
    free = http_client._slots
    keyring.forget()
    yield
    keyring.forget()
    throttle._unwritten.clear()
    http_client._silent_until.clear()
    is_free = within(LATER_SECONDS, lambda: free._value == http_client.MOST_AT_ONCE)
    assert is_free, "a fetch does not end"


@pytest.fixture(autouse=True)
def cheap_hashes(request, monkeypatch):
    """Hash with the cheapest Argon2 parameters, except in tests marked ``production_hashes``.

    This concerns tests in process. A running site hashes as in production, except with
    ``CHEAP_HASHES``, which the shared sites have.
    """
    if not request.node.get_closest_marker("production_hashes"):
        monkeypatch.setattr(Argon2id, "memory_cost", 8)
        monkeypatch.setattr(Argon2id, "time_cost", 1)


@pytest.fixture(autouse=True)
def reused_rsa_keys(monkeypatch):
    """Reuse the RSA keys of earlier tests, since generating and checking one takes long.

    The keys of one test still differ.
    """
    generate, supply = keys.generate_rsa, iter(RSA_KEYS[:])

    def reuse(**options):
        if (key := next(supply, None)) is None:
            RSA_KEYS.append(key := generate(**options))
        return key

    monkeypatch.setattr(keys, "generate_rsa", reuse)
    monkeypatch.setattr(keys, "load_pem_private_key", load_once)


@pytest.fixture
def hashes(monkeypatch):
    """Return a list that grows with every run of Argon2.

    Argon2 is the most expensive work that an anonymous client can cause.
    """
    runs: list[str] = []

    def counted(name):
        method = getattr(Argon2id, name)

        def run(*args):
            runs.append(name)
            return method(*args)

        return run

    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2id, name, counted(name))
    return runs


@pytest.fixture(scope="session", autouse=True)
def middleware_loaded_once():
    """Load the middleware once, and again when a setting has changed.

    Each Django test client would otherwise load its own.
    """
    load, loaded = ClientHandler.load_middleware, []

    def load_once(handler):
        if not loaded:
            load(handler)
            loaded.append(handler._middleware_chain)
        handler._middleware_chain = loaded[0]

    def forget(**_kwargs):
        loaded.clear()

    setting_changed.connect(forget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientHandler, "load_middleware", load_once)
        yield
    setting_changed.disconnect(forget)


@pytest.fixture(scope="session", autouse=True)
def roles_survive_transactional_tests():
    """Create the groups of the roles again when a transactional test has emptied the database."""

    def make_roles(**_kwargs):
        import_module("accounts.administration.migrations.0002_roles").make_groups(apps, None)

    administration = apps.get_app_config("administration")
    post_migrate.connect(make_roles, sender=administration)
    yield
    post_migrate.disconnect(make_roles, sender=administration)


@pytest.fixture(scope="session")
def django_db_keepdb():
    """Use the copy that ``django_db_modify_db_settings`` makes, instead of migrating again."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings():
    """Keep the test database in a file, as in production.

    An SQLite database in memory has table locks between threads that a file does not have.
    """
    file = env.DATA_DIR / "test.sqlite3"
    django_settings.DATABASES["default"]["TEST"]["NAME"] = str(file)
    shutil.copy(migrated(), file)


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server():
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def default_site():
    """Run the site on SQLite, for tests that need no settings of their own.

    The rate limits are raised, since all tests come from one IP address.
    """
    with Site(LIMITS_SCALE="1000", **CHEAP_HASHES) as running:
        yield running


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    """Run the site as ``make https`` does."""
    with LocalHttps(tmp_path_factory.mktemp("https")) as running:
        yield running


@pytest.fixture
def op(settings):
    """Run an OpenID Provider on the loopback interface and configure the site to offer it."""
    with OpenIDProvider() as provider:
        configured(settings, provider.setting())
        yield provider


@pytest.fixture(scope="module")
def site(request):
    """Return a running site: with the settings in the module's ``SITE``, or the default one.

    The default site is shared, and its database keeps what earlier tests have stored.
    """
    if settings := getattr(request.module, "SITE", None):
        with Site(**CHEAP_HASHES | settings) as running:
            yield running
    else:
        yield request.getfixturevalue("default_site")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark each test with what it needs, so that for example ``-m "not browser"`` works.

    A test that starts no server may use the database of the tests.

    Files with slow tests run first, so that parallel workers finish at about the same time: those
    in Chromium, then the others that start servers.
    """
    needs = {"chromium": "browser", "postgres": "postgres", "redis_server": "redis"}
    slow = set()
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture in needs.keys() & fixtures:
            item.add_marker(needs[fixture])
        if SERVERS & vars(getattr(item, "module", object)).keys() or SERVER_FIXTURES & fixtures:
            item.add_marker("server")
            slow.add(item.path)
        elif not item.get_closest_marker("django_db"):
            item.add_marker("django_db")
    result = yield
    # Afterwards, since pytest-django moves tests without its database to the end.
    items.sort(key=lambda item: (BROWSER not in item.nodeid, item.path not in slow))
    return result


class Scheduler(LoadFileScheduling):
    """Gives workers whole files, and those that share servers to one worker, which starts them."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        if BROWSER in file:
            return f"{BROWSER}{BROWSER_FILES.index(env.ROOT / file) % 2}"
        return "races" if "_races.py" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduler(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture
def receiver(tmp_path, settings, monkeypatch):
    """The server of an app, whose certificate the site trusts."""
    with Receiver(tmp_path) as receiver:
        authority = str(receiver.authority)
        settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, ca_file=authority)
        monkeypatch.setattr("accounts.oauth.logout.REST", timedelta())
        yield receiver
