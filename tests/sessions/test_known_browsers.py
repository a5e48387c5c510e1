"""The service of known browsers: their age and expiry."""

from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client

from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.users import services as users
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.signin import request_of
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0"


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def browser(*, version: int = 142, cookie: str = "") -> Client:
    client = Client(headers={"user-agent": FIREFOX.format(version, version)})
    if cookie:
        client.cookies["known"] = cookie
    return client


def meets(client: Client, user: User) -> bool:
    """Sign ``user`` in and return whether the browser was known before."""
    request, response = request_of(client), HttpResponse()
    is_known = known_browsers.note_sign_in(request, user)
    known_browsers.set_cookie(request, response)
    client.cookies.update(response.cookies)
    return is_known


def since(client: Client, user: User) -> Any:
    row = known_browsers.recognize(request_of(client), user)
    return row.since if row else None


def void_proofs_and_links(user: User) -> None:
    users.void_proofs_and_links(user)
    user.refresh_from_db()


def test_a_browser_is_known_since_its_first_sign_in_despite_later_changes(
    alice: User, clock: Clock
) -> None:
    here, begun = browser(), clock.now()
    assert (meets(here, alice), since(here, alice)) == (False, begun)
    clock.advance(days=8)
    assert meets(here, alice)

    void_proofs_and_links(alice)

    assert since(here, alice) == begun, "even before the next sign-in"
    assert [meets(here, alice) for _ in range(2)] == [False, True]
    newer = browser(version=143, cookie=here.cookies["known"].value)
    assert since(newer, alice) == begun
    assert since(browser(), alice) is None
    assert since(here, make_user("bob")) is None
    safari = Client(headers={"user-agent": "Safari/605"})
    safari.cookies["known"] = here.cookies["known"].value
    assert since(safari, alice) is None, "another kind of browser with a copy of the cookie"


def test_a_browser_is_forgotten_90_days_after_the_last_sign_in(alice: User, clock: Clock) -> None:
    here, begun = browser(), clock.now()
    meets(here, alice)
    clock.advance(days=80)
    meets(here, alice)

    clock.advance(days=90, seconds=-1)
    assert since(here, alice) == begun
    clock.advance(seconds=1)

    assert since(here, alice) is None
    assert not meets(here, alice)
    assert since(here, alice) == clock.now(), "an expired row that was not pruned is replaced"
    clock.advance(days=90)
    call_command("prune", verbosity=0)
    assert not KnownBrowser.objects.exists()


def test_a_sign_in_updates_a_known_browser_at_most_once_a_month(
    alice: User, clock: Clock, django_assert_num_queries: Any
) -> None:
    here = browser()
    meets(here, alice)
    clock.advance(days=30)
    with django_assert_num_queries(1):
        meets(here, alice)
    clock.advance(seconds=1)
    with django_assert_num_queries(2):
        meets(here, alice)


def test_browsers_stay_known_through_a_secret_key_rotation(alice: User, settings: Any) -> None:
    here = browser()
    meets(here, alice)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert meets(here, alice)

    settings.SECRET_KEY_FALLBACKS = []

    assert meets(here, alice)
