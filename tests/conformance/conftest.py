"""The app and the person of these tests."""

import pytest

from tests.support.conformance import warns
from tests.support.oauth_client import new_app
from tests.support.relying_party import RelyingParty, fapi_party
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
    check(rp, request)


@pytest.fixture
def fapi(request, settings, alice, clock):
    """An app with the profile of FAPI 2.0. The test fails as with ``rp``."""
    set_up(settings, origin=HERE)
    fapi = fapi_party("Suite")
    yield fapi
    check(fapi, request)


@pytest.fixture
def other(fapi):
    """A second app, in the same browser."""
    return fapi_party("Second", fapi.browser)


def check(party, request):
    assert bool(party.warnings) is warns(request.node.callspec.params["module"]), party.warnings
