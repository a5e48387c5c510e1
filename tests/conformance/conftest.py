"""The app and the person of these tests."""

import pytest

from tests.support.conformance import warns
from tests.support.oauth_client import new_app
from tests.support.relying_party import RelyingParty
from tests.support.signin import set_up

HERE = "https://accounts.example.org"


@pytest.fixture
def mode():
    return "query"


@pytest.fixture
def rp(request, settings, alice, clock, mode):
    """An app without PKCE, as the suite's app is.

    The test fails unless the suite would warn exactly where the table says so.
    """
    set_up(settings, origin=HERE)
    rp = RelyingParty(new_app("Suite", requires_pkce=False), mode)
    yield rp
    assert bool(rp.warnings) is warns(request.node.callspec.params["module"]), rp.warnings
