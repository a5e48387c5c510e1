"""PostgreSQL goes away and comes back."""

import time

from tests.attacks.steps import LOGIN, WRONG, log_in, sign_up
from tests.attacks.test_session_races import confirmed
from tests.support.api import call, renew, sign_in
from tests.support.services import Postgres
from tests.support.site import Site

BACK_SECONDS = 30.0


def test_the_site_recovers_by_itself_when_the_database_is_back(postgres: Postgres) -> None:
    with Site(DATABASE_URL=postgres.database()) as site:
        confirmed((site, site), "alice")
        tokens, browser = sign_in(client=site.client()), site.client()
        token = browser.csrf(LOGIN)

        postgres.stop()
        gone = browser.post(LOGIN, {"login": "alice", "password": WRONG}, csrf=token)
        assert gone.status >= 500
        assert "default-src 'none'" in gone.headers["Content-Security-Policy"]
        for answer in (
            call("me/", client=site.client(), token=tokens["access"]),
            call("token/verify/", {"token": tokens["access"]}, client=site.client()),
            renew(tokens["refresh"], client=site.client()),
            sign_in(client=site.client()),
        ):
            assert (answer.status, answer.code) == (503, "unavailable")
            assert answer.headers["retry-after"] == "5"
        postgres.start()

        deadline = time.monotonic() + BACK_SECONDS
        while (status := log_in(site.client(), "alice").status) >= 500:
            assert time.monotonic() < deadline, status
        assert status == 302
        assert sign_up(site.client(), "bob").status == 302
        site.wait_for_mail(to="bob")
