"""PostgreSQL goes away and comes back."""

import time

import pytest

from tests.attacks.steps import LOGIN, WRONG, log_in, sign_up
from tests.support.services import Postgres
from tests.support.site import Site

BACK_SECONDS = 15.0


@pytest.mark.postgres
def test_the_site_recovers_by_itself_when_the_database_is_back() -> None:
    with Postgres() as server, Site(DATABASE_URL=server.database()) as site:
        assert sign_up(site.client(), "alice").status == 302
        token, browser = "", site.client()
        token = browser.csrf(LOGIN)

        server.stop()
        gone = browser.post(LOGIN, {"login": "alice", "password": WRONG}, csrf=token)
        assert gone.status >= 500
        assert "default-src 'none'" in gone.headers["Content-Security-Policy"]
        server.start()

        deadline = time.monotonic() + BACK_SECONDS
        while (status := log_in(site.client(), "alice").status) >= 500:
            assert time.monotonic() < deadline, status
        assert status == 302
        assert sign_up(site.client(), "bob").status == 302
        site.wait_for_mail(to="bob")
