"""PostgreSQL goes away and comes back."""

import time

from tests.attacks.steps import LOGIN, WRONG, log_in, sign_up
from tests.support.services import Postgres
from tests.support.site import Site

BACK_SECONDS = 30.0


def test_the_site_recovers_by_itself_when_the_database_is_back(postgres: Postgres) -> None:
    with Site(DATABASE_URL=postgres.database()) as site:
        assert sign_up(site.client(), "alice").status == 302
        token, browser = "", site.client()
        token = browser.csrf(LOGIN)

        postgres.stop()
        gone = browser.post(LOGIN, {"login": "alice", "password": WRONG}, csrf=token)
        assert gone.status >= 500
        assert "default-src 'none'" in gone.headers["Content-Security-Policy"]
        postgres.start()

        deadline = time.monotonic() + BACK_SECONDS
        while (status := log_in(site.client(), "alice").status) >= 500:
            assert time.monotonic() < deadline, status
        assert status == 302
        assert sign_up(site.client(), "bob").status == 302
        site.wait_for_mail(to="bob")
