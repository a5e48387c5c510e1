"""The site in production, behind each proxy that ``deploy/`` has a file for."""

from collections.abc import Iterator

import pytest

from tests.support.proxies import ORIGIN, Caddy, Nginx, Proxy
from tests.support.site import Site, production


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all of its proxies."""
    with production(tmp_path_factory.mktemp("production"), ORIGIN) as site:
        yield site


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, behind: Site
) -> Iterator[Proxy]:
    with request.param(tmp_path_factory.mktemp("proxy"), behind) as running:
        yield running
