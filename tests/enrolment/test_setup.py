"""The page that adds an authenticator."""

from urllib.parse import quote

import pytest
from django.test import Client

from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    enrolled,
    seed_on,
    turn_on,
    type_one_back,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, make_staff, make_user, sign_in

pytestmark = pytest.mark.django_db

CLOCK = "your phone’s clock is some minutes off"
WRONG = "That code is not right, or was used already."
REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.fixture
def alice(client: Client, clock: Clock) -> User:
    """Alice, signed in with ``client``."""
    alice = make_user("alice")
    signed_in(alice, client)
    return alice


def test_a_clock_that_is_some_minutes_off_is_named(client: Client, alice: User) -> None:
    seed = seed_on(client.get(SETUP).text)

    for steps in (-21, -20, -2, 2, 20, 21):
        page = client.post(SETUP, {"code": code_of(seed, steps)}).text
        assert (CLOCK in page) is (abs(steps) <= 20), steps
        assert not Authenticator.objects.exists()


def test_a_clock_that_is_off_is_named_nowhere_else(client: Client, clock: Clock) -> None:
    """There it would say to who guesses that a guess is near."""
    alice = make_user("alice")
    seed = enrolled(alice)
    inside = signed_in(alice)
    sign_in(client, "alice")

    for steps in (-20, 2):
        for browser, page in ((client, CHALLENGE), (inside, REAUTHENTICATE)):
            text = browser.post(page, {"code": code_of(seed, steps)}).text
            assert WRONG in text
            assert CLOCK not in text


def test_an_authenticator_has_the_name_that_was_given_unless_it_is_none(
    client: Client, alice: User
) -> None:
    for typed in ("a" * 65, "a\u202eb", "a\0b", "a\nb"):
        assert "<title>Error:" in turn_on(client, name=typed).text, ascii(typed)
        assert not Authenticator.objects.exists()

    for typed in ("", "  Old phone ", "a" * 64):
        turn_on(client, name=typed)
        Authenticator.objects.update(last_t=-1)
    names = list(Authenticator.objects.order_by("pk").values_list("name", flat=True))
    assert names == ["Authenticator app", "Old phone", "a" * 64]


def test_a_code_for_a_page_that_is_not_shown_any_more_is_no_error(
    client: Client, alice: User
) -> None:
    page = client.post(SETUP, {"code": "123456"})

    assert "<title>Error:" not in page.text, "a new key is shown, for which it can't be meant"
    assert seed_on(page.text)


def test_it_asks_for_a_fresh_proof_and_leads_back(
    client: Client, alice: User, clock: Clock
) -> None:
    clock.advance(minutes=5)
    asked = client.get(f"{SETUP}?next=/accounts/profile/")
    assert asked.url == f"{REAUTHENTICATE}?next={quote(f'{SETUP}?next=/accounts/profile/')}"

    clock.advance(minutes=5)
    assert client.post(SETUP, {"code": "123456"}).url.startswith(REAUTHENTICATE)


def test_from_inside_it_leads_through_the_codes_to_the_overview_or_where_one_came_from(
    client: Client, alice: User
) -> None:
    page = f"{SETUP}?next=/accounts/profile/"
    assert turn_on(client).url == RECOVERY_CODES
    assert type_one_back(client).url == "/accounts/2fa/"

    seed = seed_on(client.get(page).text)
    assert client.post(page, {"code": code_of(seed)}).url == "/accounts/profile/"


def test_a_stranger_is_led_to_sign_in_and_back(client: Client) -> None:
    assert client.get(SETUP).url == f"{LOGIN}?next={SETUP}"
    make_user("alice")

    assert sign_in(client, "alice", next=SETUP).url == SETUP
    assert seed_on(client.get(SETUP).text)


def test_at_the_door_it_says_why_and_who_and_leads_out(client: Client) -> None:
    make_staff("carol", has_factor=False)
    sign_in(client, "carol")

    page = client.get(SETUP).text

    assert "One step is missing, <bdi>carol</bdi>" in page
    assert f'href="{LOGIN}?other=1"' in page
    assert "Sign out" not in page, "carol isn't signed in"
    assert client.get(f"{LOGIN}?other=1").status_code == 200
    assert client.get(SETUP).url == f"{LOGIN}?next={SETUP}", "nobody waits there any more"


def test_the_way_from_the_challenge_to_enrolment_is_the_same_way_back(client: Client) -> None:
    """Who came to the wrong one of the two pages is led on, not in."""
    make_staff("carol", has_factor=False)
    sign_in(client, "carol")

    assert client.get(CHALLENGE).url == SETUP
    assert client.get("/").status_code == 302
