"""The clock of the machine runs two hours ahead for a while, and is then set right."""

from pathlib import Path

from tests.support.api import get_tokens, is_good, renew
from tests.support.inject import Injected
from tests.support.site import Site
from tests.support.steps import CONFIRM, LOGIN, PASSWORD, WRONG, code_in, join, sign_up

RESET = "/accounts/password/reset/"
AHEAD_SECONDS = 2 * 60 * 60


def test_what_happens_while_the_clock_is_two_hours_ahead_blocks_nobody_afterwards(
    tmp_path: Path,
) -> None:
    injected = Injected(tmp_path)
    with Site(**injected.env) as site:
        browser, early = site.client(), site.client()
        join(site, browser, "alice")
        tokens = get_tokens("alice", site.client())
        sign_up(early, "carol")
        injected.advance(AHEAD_SECONDS)
        late, guesser = site.client(), site.client()
        assert late.post(LOGIN, {"login": "alice", "password": PASSWORD}).status == 302
        ahead = renew(tokens["refresh"], site.client())
        sign_up(bob := site.client(), "bob")
        late.post(RESET, {"login": "alice"})
        guesses = [guesser.post(LOGIN, {"login": "alice", "password": WRONG}) for _ in range(6)]
        assert guesses[-1].status == 429
        injected.advance(-AHEAD_SECONDS)

        assert late.get("/accounts/profile/").status == 200
        renewed = renew(ahead["refresh"], site.client())
        assert is_good(renewed["access"], site.client())
        assert get_tokens("alice", site.client()).status == 200
        assert bob.post(CONFIRM, {"code": code_in(site.wait_for_mail(to="bob@"))}).location == "/"
        assert (
            early.post(CONFIRM, {"code": code_in(site.wait_for_mail(to="carol@"))}).location == "/"
        )
        site.client().post(RESET, {"login": "alice"})
        site.wait_for_mail(to="alice@", subject="Set a new password", count=2)
