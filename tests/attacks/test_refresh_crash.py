"""A server that is killed between the rotation of a refresh token and its answer."""

from http.client import HTTPException

import pytest

from tests.support.api import get_tokens, is_good, renew
from tests.support.inject import Injected
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.races import confirmed
from tests.support.site import Site
from tests.support.steps import sql


@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_a_crash_between_rotation_and_answer_keeps_the_session_and_still_detects_reuse(
    request, kind, tmp_path
):
    injected = Injected(tmp_path)
    with Site(**injected.env, **database(request, kind)) as site:
        client = site.client()
        confirmed((site, site), "alice")
        first = get_tokens("alice", client)
        injected.kill_after_rotation()
        with pytest.raises((HTTPException, OSError)):
            renew(first["refresh"], client)
        assert injected.is_killed
        site.kill()
        site.start()
        rotated = sql(site, "SELECT 1 FROM accounts_loginsession WHERE rotated_at IS NOT NULL")
        assert len(rotated) == 1, "the rotation was committed"

        second = renew(first["refresh"], client)
        assert is_good(second["access"], client)
        assert renew(first["refresh"], client)["refresh"] == second["refresh"]
        injected.advance(31)
        site.kill()
        site.start()

        assert is_good(second["access"], client)
        assert renew(first["refresh"], client).code == "token_reused"
        assert renew(second["refresh"], client).code == "token_not_valid"
        assert not is_good(second["access"], client)
        site.wait_for_mail(to="alice@", subject="may have been copied")
