"""The server killed between a rotation and its answer, or started anew; a sign-in goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException

import pytest

from tests.attacks.test_session_races import confirmed
from tests.attacks.test_two_nodes import BOTH, database
from tests.support.api import get_tokens, is_good, renew
from tests.support.inject import Injected
from tests.support.site import Site
from tests.support.steps import sql

NOT_VALID, REUSED = "token_not_valid", "token_reused"


@dataclass(frozen=True)
class Killable:
    """The real site, and what happens to it."""

    site: Site
    injected: Injected

    def restart(self) -> None:
        self.site.kill()
        self.site.start()


@pytest.fixture(scope="module", params=BOTH)
def killable(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Killable]:
    injected = Injected(tmp_path_factory.mktemp("injected"))
    with Site(**injected.env, **database(request, request.param)) as site:
        yield Killable(site, injected)


def rotations(site: Site) -> int:
    return len(sql(site, "SELECT 1 FROM accounts_loginsession WHERE rotated_at IS NOT NULL"))


def test_kill_9_between_rotation_and_answer_costs_no_sign_in(killable: Killable) -> None:
    """The retry is answered by another process, after another restart, too."""
    site, client = killable.site, killable.site.client()
    confirmed((site, site), "alice")
    first = get_tokens("alice", client)
    killable.injected.kill_after_rotation()

    with pytest.raises((HTTPException, OSError)):
        renew(first["refresh"], client)
    assert killable.injected.is_killed
    killable.restart()
    assert rotations(site) == 1, "it was committed"

    again = renew(first["refresh"], client)
    assert is_good(again["access"], client)
    killable.restart()
    assert renew(first["refresh"], client)["refresh"] == again["refresh"]
    assert is_good(again["access"], client)
    third = renew(again["refresh"], client)
    assert is_good(third["access"], client)

    assert renew(first["refresh"], client).code == REUSED
    assert renew(third["refresh"], client).code == NOT_VALID
    site.wait_for_mail(to="alice@", subject="used twice")


def test_a_token_that_was_used_before_a_restart_is_not_good_after_it(killable: Killable) -> None:
    site, client = killable.site, killable.site.client()
    confirmed((site, site), "bob")
    first = get_tokens("bob", client)
    second = renew(first["refresh"], client)
    killable.injected.advance(11)
    killable.restart()

    assert renew(first["refresh"], client).code == REUSED

    assert renew(second["refresh"], client).code == NOT_VALID
    assert not is_good(second["access"], client)
    site.wait_for_mail(to="bob@", subject="used twice")
    killable.restart()
    assert renew(first["refresh"], client).code == NOT_VALID
    assert not is_good(second["access"], client)
