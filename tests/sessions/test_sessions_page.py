"""The page of sessions: groups, words and the effects of signing out everywhere else."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.common.api import PAGE_SIZE
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import TrustedBrowser
from accounts.users.models import User
from tests.support import mmdb
from tests.support.api import get_tokens
from tests.support.clock import Clock
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

PAGE = "/accounts/sessions/"
TAGS = re.compile(r"<[^>]*>")

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(clock: Clock) -> User:
    return make_user("alice")


def card(text: str, heading: str) -> str:
    """The words of the card with this heading."""
    (found,) = (part for part in text.split('class="card"') if f">{heading}</h2>" in part)
    return " ".join(TAGS.sub(" ", found.partition("</h2>")[2]).split())


def test_this_browser_comes_first_and_programs_apart(client: Client, alice: User) -> None:
    signed_in(alice)
    here = signed_in(alice, client)
    get_tokens("alice", Client(headers={"user-agent": "curl/8.14.1"}))

    text = here.get(PAGE).text

    browsers, programs = card(text, "Browsers"), card(text, "Programs")
    assert browsers.index("This browser Active now") < browsers.index("Sign out")
    assert browsers.count("signed in with password") == 2
    assert programs.startswith("curl ")
    assert "through the API · signed in with password" in programs
    assert "aren’t signed in, so they aren’t listed here" in programs


def test_without_programs_or_other_browsers_the_page_says_so(client: Client, alice: User) -> None:
    text = signed_in(alice, client).get(PAGE).text

    assert ">Programs</h2>" not in text
    assert "You aren’t signed in anywhere else." in card(text, "Browsers")
    effects = card(text, "Sign out everywhere else")
    assert "other browser" not in effects
    assert "program" not in effects
    assert "trusted" not in effects


def test_signing_out_elsewhere_lists_its_effects_with_counts(
    client: Client, alice: User, clock: Clock
) -> None:
    for _ in range(2):
        signed_in(alice)
    get_tokens("alice", Client())
    for number in range(3):
        ends_at = clock.now() + timedelta(days=number)
        TrustedBrowser.objects.create(
            user=alice, digest=str(number), version=alice.credential_version, ends_at=ends_at
        )

    effects = card(signed_in(alice, client).get(PAGE).text, "Sign out everywhere else")

    assert "2 trusted browsers will need two-step verification" in effects
    assert "(this browser too)" not in effects
    for stays in ("This browser", "Your API keys", "Your password and passkeys"):
        assert stays in effects.partition("What won’t change")[2]


def test_the_effects_say_if_this_browser_is_trusted(
    client: Client, alice: User, settings: Any
) -> None:
    from accounts.common import secrets
    from accounts.common.clock import now
    from accounts.twofactor.trusted_browsers import PURPOSE

    token = secrets.token()
    TrustedBrowser.objects.create(
        user=alice,
        digest=secrets.digest(token, PURPOSE),
        version=alice.credential_version,
        ends_at=now() + timedelta(days=1),
    )
    client.cookies[settings.TRUSTED_COOKIE_NAME] = token

    text = signed_in(alice, client).get(PAGE).text
    assert "1 trusted browser will need two-step verification again (this browser too)" in card(
        text, "Sign out everywhere else"
    )
    set_up(settings, trusted_browser_days=0)
    assert "1 trusted browser" not in client.get(PAGE).text


def test_a_session_is_stale_after_thirty_days(client: Client, alice: User, clock: Clock) -> None:
    signed_in(alice)
    signed_in(alice)
    stale, used = LoginSession.objects.all()
    long = clock.now() + timedelta(days=99)
    for session, days in ((stale, 37), (used, 29)):
        LoginSession.objects.filter(pk=session.pk).update(
            used_at=clock.now() - timedelta(days=days), idle_at=long, ends_at=long
        )

    text = signed_in(alice, client).get(PAGE).text

    assert re.findall(r"Not used for [^<]+", text) == ["Not used for 5 weeks"]


def test_browsers_come_before_programs_on_every_page(client: Client, alice: User) -> None:
    get_tokens("alice", Client())
    signed_in(alice, client)
    here = LoginSession.objects.get(kind="browser")
    copied = ("agent", "browser", "amr", "auth_time", "idle_at", "ends_at")
    shared = {name: getattr(here, name) for name in copied}
    LoginSession.objects.bulk_create(LoginSession(user=alice, **shared) for _ in range(PAGE_SIZE))

    first, second = (client.get(f"{PAGE}?page={page}").text for page in (1, 2))

    assert ">Programs</h2>" not in first
    assert f"{PAGE_SIZE} other browsers will be" in card(first, "Sign out everywhere else")
    assert "through the API" in card(second, "Programs")


def test_a_location_file_names_the_places(
    client: Client, alice: User, settings: Any, tmp_path: Path
) -> None:
    path = mmdb.write(tmp_path / "places.mmdb", {"127.0.0.0/8": mmdb.city("Berlin")})
    set_up(settings, geoip_file=str(path))

    assert "Active now · Berlin , 127.0.0.1" in card(
        signed_in(alice, client).get(PAGE).text, "Browsers"
    )
