"""The site in production, behind each proxy that ``deploy/`` has a file for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.kernel import secrets
from tests.support.proxies import ORIGIN, Caddy, Nginx, Proxy
from tests.support.site import Site


def production(folder: Path) -> Site:
    """The site with the settings of ``deploy/authsite.env``, and its data in ``folder``."""
    return Site(
        data_dir=folder,
        ENVIRONMENT="production",
        ORIGIN=ORIGIN,
        SECRET_KEY=secrets.token(48),
        ENCRYPTION_KEYS=secrets.encryption_key(),
        EMAIL_URL=(folder / "mail").as_uri(),
        MAIL_FROM="accounts@example.org",
        TRUSTED_PROXIES="127.0.0.1",
        TOKEN_ALGORITHM="ES256",
    )


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all of its proxies."""
    with production(tmp_path_factory.mktemp("production")) as site:
        yield site


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, behind: Site
) -> Iterator[Proxy]:
    with request.param(tmp_path_factory.mktemp("proxy"), behind) as running:
        yield running
