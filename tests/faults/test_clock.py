"""The clock of the machine is two hours wrong for a while, and is then set right.

``tests/throttle`` shows that limits block nobody for longer.
"""

import pytest
from django.test import Client as Browser
from joserfc.jwk import ECKey

from tests.support.api import get_tokens, is_good, renew
from tests.support.inject import Injected
from tests.support.site import Site
from tests.support.social import round_trip
from tests.support.standards import proves
from tests.support.steps import CODE, CONFIRM, code_in, join, sign_in, sign_up

RESET, PROFILE = "/accounts/password/reset/", "/accounts/profile/"


@pytest.fixture
def injected(tmp_path):
    """A clock to set wrong."""
    return Injected(tmp_path)


@proves("V6.5.8")
def test_what_happens_while_the_clock_is_two_hours_ahead_blocks_nobody_afterwards(injected):
    with Site(**injected.env) as site:
        early, late, bob = site.client(), site.client(), site.client()
        join(site, site.client(), "alice")
        tokens = get_tokens("alice", site.client())
        sign_up(early, "carol")
        injected.advance(hours=2)
        assert sign_in(late, "alice").status == 302
        ahead = renew(tokens["refresh"], site.client())
        begun_ahead = get_tokens("alice", site.client())
        sign_up(bob, "bob")
        late.post(RESET, {"login": "alice"})
        injected.advance(hours=-2)

        assert late.get(PROFILE).status == 200
        for pair in (ahead, begun_ahead):
            assert is_good(renew(pair["refresh"], site.client())["access"], site.client())
        for name, browser in (("bob", bob), ("carol", early)):
            code = code_in(site.wait_for_mail(to=f"{name}@"))
            assert browser.post(CONFIRM, {"code": code}).location == "/"
        site.client().post(RESET, {"login": "alice"})
        site.wait_for_mail(to="alice@", subject="Set a new password", count=2)


def test_what_happens_while_the_clock_is_two_hours_behind_neither_blocks_nor_lasts(injected):
    """Withstands a failure."""
    with Site(**injected.env) as site:
        browser, early, late, dave, other = (site.client() for _ in range(5))
        join(site, browser, "alice")
        before = get_tokens("alice", site.client())
        sign_up(early, "carol")
        carols = code_in(site.wait_for_mail(to="carol@"))
        injected.advance(hours=-2)
        # A client that renews a token that was refused goes on.
        assert not is_good(before["access"], site.client())
        behind = renew(before["refresh"], site.client())
        assert is_good(behind["access"], site.client())
        assert early.post(CONFIRM, {"code": carols}).location == "/"
        sign_up(dave, "dave")
        daves = code_in(site.wait_for_mail(to="dave@"))
        assert sign_in(late, "alice", remember="on").status == 302
        other.post(CODE, {"login": "alice"})
        signs_in = code_in(site.wait_for_mail(to="alice@", subject="code"))
        injected.advance(hours=2)

        assert [client.get(PROFILE).status for client in (browser, late)] == [200, 200]
        assert not is_good(behind["access"], site.client())
        assert is_good(renew(behind["refresh"], site.client())["access"], site.client())
        assert other.post(CODE, {"code": signs_in}).location != "/"
        assert dave.post(CONFIRM, {"code": daves}).status == 200
        dave.post(CONFIRM, {"resend": "1"})
        fresh = code_in(site.wait_for_mail(to="dave@", count=2))
        assert dave.post(CONFIRM, {"code": fresh}).location == "/"


@pytest.mark.django_db
def test_new_keys_of_a_provider_are_fetched_although_the_clock_was_set_back(op, clock):
    assert round_trip(Browser(), op).url == "/"
    clock.advance(hours=-2)
    op.published = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
    op.header = {"kid": "two"}

    assert round_trip(Browser(), op).url == "/"
