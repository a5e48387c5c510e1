"""The site at which the apps sign people in."""

import pytest

from tests.support.clients.apps import SETTINGS
from tests.support.https import ProductionSite
from tests.support.proxies import certify
from tests.support.receiver import Receiver


@pytest.fixture(scope="module")
def key_server(tmp_path_factory):
    """A server at which apps publish their keys."""
    with Receiver(tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture(scope="module")
def production(tmp_path_factory, key_server):
    folder = tmp_path_factory.mktemp("production")
    authorities = certify(folder / "shop", "shop.example.org"), key_server.authority
    trusted = folder / "authorities.pem"
    trusted.write_text("".join(file.read_text() for file in authorities))
    with ProductionSite(folder, CA_FILE=str(trusted), **SETTINGS) as running:
        yield running
