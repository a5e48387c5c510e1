"""The site at which the apps sign people in."""

from collections.abc import Iterator

import pytest

from tests.clients.apps import MCP_SERVER
from tests.support.https import ProductionSite
from tests.support.proxies import certify

# Access tokens are so short that the apps which refresh them do so at each request.
SETTINGS = {"ACCESS_TOKEN_SECONDS": "30", "LIMITS_SCALE": "1000"}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionSite]:
    folder = tmp_path_factory.mktemp("production")
    authority = certify(folder / "shop", "shop.example.org")
    with ProductionSite(
        folder, CA_FILE=str(authority), TOKEN_AUDIENCES=MCP_SERVER, **SETTINGS
    ) as running:
        yield running
