"""The fixtures that every test may ask for; the browser's are in ``tests.support.browser``."""

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import env
from tests.support.openid_provider import OpenIDProvider
from tests.support.services import Postgres, Redis
from tests.support.site import Site

pytest_plugins = ["tests.support.browser"]


class Clock:
    """Time as the site's own clock tells it; it stands still until moved."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, **interval: float) -> None:
        """``clock.advance(minutes=15)``"""
        self._now += timedelta(**interval)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    from accounts.common import clock as site_clock

    clock = Clock()
    monkeypatch.setattr(site_clock, "_now", clock.now)
    return clock


@pytest.fixture(autouse=True)
def _no_key_of_another_test() -> Iterator[None]:
    """The process forgets its signing keys, as the database's are rolled back."""
    _forget_keys()
    yield
    _forget_keys()


def _forget_keys() -> None:
    if ring := sys.modules.get("accounts.tokens.keyring"):
        ring.forget()


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 at its least, in process, for all tests but those of what it costs.

    They are marked ``production_hashes``. A real site always hashes as in production.
    """
    from accounts.passwords.hashers import Argon2id

    if not request.node.get_closest_marker("production_hashes"):
        monkeypatch.setattr(Argon2id, "memory_cost", 8)
        monkeypatch.setattr(Argon2id, "time_cost", 1)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every run of Argon2, the dearest thing that a stranger can ask for."""
    from accounts.passwords.hashers import Argon2id

    runs: list[str] = []

    def counted(name: str) -> Any:
        method = getattr(Argon2id, name)

        def run(*args: Any) -> Any:
            runs.append(name)
            return method(*args)

        return run

    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2id, name, counted(name))
    return runs


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Each of Django's clients sets the site up anew; the files of all of them are the same."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    find, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def find_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files |= found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A file, as in production: in memory, threads would meet locks that no file has.

    With ``--reuse-db``, ``MIGRATED_DATABASE`` names one to begin with.
    """
    from django.conf import settings

    file = env.DATA_DIR / "test.sqlite3"
    settings.DATABASES["default"]["TEST"]["NAME"] = str(file)
    if migrated := os.environ.get("MIGRATED_DATABASE"):
        shutil.copy(migrated, file)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def default_site() -> Iterator[Site]:
    """The real site on SQLite, for every test that neither changes it nor needs settings.

    Its limits are wide: all tests come from one address.
    """
    with Site(LIMITS_SCALE="1000") as running:
        yield running


@pytest.fixture
def op(settings: Any) -> Iterator[OpenIDProvider]:
    """An OpenID Provider on loopback, which the site shows a button for."""
    from tests.support.social import configured

    with OpenIDProvider() as provider:
        configured(settings, provider.setting())
        yield provider


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A real site: the module's own if it has settings in ``SITE``, otherwise the default one.

    The default one is shared, and its database keeps what earlier tests did.
    """
    if settings := getattr(request.module, "SITE", None):
        with Site(**settings) as running:
            yield running
    else:
        yield request.getfixturevalue("default_site")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs, so that ``-m "not browser"`` is always right.

    Files with slow tests come first, so that parallel workers end at about the same time.
    """
    needs = {"chromium": "browser", "postgres": "postgres", "redis_server": "redis"}
    slow = set()
    for item in items:
        for fixture, mark in needs.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
                slow.add(item.path)
    items.sort(key=lambda item: item.path not in slow)
