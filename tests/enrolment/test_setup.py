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
    recovery_codes_on,
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


@pytest.mark.parametrize(
    "steps, says",
    [(n, CLOCK) for n in (-20, -2, 2, 20)] + [(n, WRONG) for n in (-21, 21, -5000)],
)
def test_a_clock_that_is_some_minutes_off_is_named(
    client: Client, alice: User, steps: int, says: str
) -> None:
    seed = seed_on(client.get(SETUP).text)

    page = client.post(SETUP, {"code": code_of(seed, steps)}).text

    assert says in page
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("steps", [-20, -2, 2, 20])
def test_a_clock_that_is_off_is_named_nowhere_else(
    client: Client, clock: Clock, steps: int
) -> None:
    """There it would say to who guesses that a guess is near."""
    alice = make_user("alice")
    seed = enrolled(alice)
    inside = signed_in(alice)
    sign_in(client, "alice")

    pages = [
        client.post(CHALLENGE, {"code": code_of(seed, steps)}),
        inside.post(REAUTHENTICATE, {"code": code_of(seed, steps)}),
    ]

    for page in pages:
        assert WRONG in page.text
        assert CLOCK not in page.text


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_the_code_that_turns_it_on_is_used_up(
    client: Client, alice: User, clock: Clock, steps: int
) -> None:
    seed = seed_on(client.get(SETUP).text)
    code = code_of(seed, steps)
    assert client.post(SETUP, {"code": code}).url == RECOVERY_CODES

    other = Client()
    sign_in(other, "alice")

    assert WRONG in other.post(CHALLENGE, {"code": code}).text
    assert other.post(CHALLENGE, {"code": code_of(seed, 1)}).status_code == (
        200 if steps == 1 else 302
    )


@pytest.mark.parametrize(
    "typed, kept",
    [("", "Authenticator app"), ("  Old phone ", "Old phone"), ("a" * 64, "a" * 64)],
)
def test_an_authenticator_has_the_name_that_was_given(
    client: Client, alice: User, typed: str, kept: str
) -> None:
    turn_on(client, name=typed)

    assert Authenticator.objects.get().name == kept
    assert f"<bdi>{kept}</bdi>" in client.get("/accounts/2fa/").text


@pytest.mark.parametrize("typed", ["a" * 65, "a\u202eb", "a\0b", "a\nb"], ids=ascii)
def test_a_name_that_is_no_name_adds_nothing_and_what_was_typed_stays(
    client: Client, alice: User, typed: str
) -> None:
    page = turn_on(client, name=typed)

    assert page.status_code == 200
    assert "<title>Error:" in page.text
    assert not Authenticator.objects.exists()


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


def test_who_waits_at_the_door_and_has_one_meanwhile_is_asked_for_it(client: Client) -> None:
    carol = make_staff("carol", has_factor=False)
    sign_in(client, "carol")
    enrolled(carol)

    assert client.get(SETUP).url == CHALLENGE
    assert client.post(SETUP, {"code": "123456"}).url == CHALLENGE


def test_the_way_from_the_challenge_to_enrolment_is_the_same_way_back(client: Client) -> None:
    """Who came to the wrong one of the two pages is led on, not in."""
    make_staff("carol", has_factor=False)
    sign_in(client, "carol")

    assert client.get(CHALLENGE).url == SETUP
    assert client.get("/").status_code == 302


def test_only_the_first_authenticator_shows_recovery_codes(client: Client, alice: User) -> None:
    assert turn_on(client).url == RECOVERY_CODES
    first = recovery_codes_on(client.get(RECOVERY_CODES).text)

    assert turn_on(client).url == "/accounts/2fa/"

    assert recovery_codes_on(client.get(RECOVERY_CODES).text) == first, "until one is typed back"
