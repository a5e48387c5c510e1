"""System 7: two-factor sign-in. Rows 3 and 7: what a password alone opens, and who must enrol."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.acceptance.conftest import Set
from tests.conftest import Clock
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    take_second_step,
    turn_on,
    type_one_back,
)
from tests.support.signin import signed_in
from tests.support.steps import (
    FIRST_STEPS,
    LOGIN,
    is_signed_in,
    make_staff,
    make_user,
    sign_in,
    sign_in_twice,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("first", FIRST_STEPS)
def test_7_3_a_first_step_alone_opens_nothing(
    client: Client, clock: Clock, first: Callable[..., Any]
) -> None:
    alice = make_user("alice")
    enrolled(alice)

    assert first(client).url == CHALLENGE

    assert not LoginSession.objects.exists()
    for path in ("/", "/accounts/2fa/", RECOVERY_CODES, "/accounts/password/change/"):
        assert client.get(path).url == f"{LOGIN}?next={quote(path)}"
    assert client.get(SETUP).url == CHALLENGE, "no second app by a password alone"
    assert client.get("/admin/").status_code == 302
    assert client.get(LOGIN).status_code == 200
    clock.advance(minutes=2)
    assert first(client).url == CHALLENGE, "nor does taking it twice"
    assert not LoginSession.objects.exists()

    assert take_second_step(client, alice).url == "/"
    assert is_signed_in(client)


def test_7_3_the_admin_is_closed_to_a_sign_in_from_before_the_rights() -> None:
    """The session is there, the second step isn't: the admin asks for it."""
    browser = signed_in(make_user("carol"))
    User.objects.update(is_staff=True, is_superuser=True)

    asked = browser.get("/admin/", follow=True)

    assert asked.request["PATH_INFO"] == SETUP
    codes = turn_on(browser, f"{SETUP}?next=/admin/")
    assert type_one_back(browser, codes.url).url == "/admin/"
    assert browser.get("/admin/").status_code == 200


MUST_ENROL = [
    *(("optional", "alice", False), ("optional", "carol", False)),
    *(("staff", "alice", False), ("staff", "carol", True)),
    *(("all", "alice", True), ("all", "carol", True)),
]


@pytest.mark.parametrize("required_for, who, must", MUST_ENROL)
def test_7_7_who_must_have_a_factor_adds_one_first_and_who_has_one_is_asked_for_it(
    client: Client, configure: Set, required_for: str, who: str, must: bool
) -> None:
    configure(second_factor=required_for)
    make_user("alice")
    make_staff("carol", has_factor=False)

    answer = sign_in(client, who)

    assert answer.url == (SETUP if must else "/")
    assert is_signed_in(client) is not must
    if must:
        for path in ("/", RECOVERY_CODES, "/accounts/profile/", "/admin/"):
            assert "/login/" in client.get(path).url, path
        assert sign_in(client, who).url == SETUP, "starting over leads there again"
        turn_on(client)
        assert is_signed_in(client)
    else:
        enrolled(User.objects.get(username=who))
    assert sign_in(Client(), who).url == CHALLENGE


@pytest.mark.parametrize("required_for", ["optional", "staff", "all"])
def test_7_7_the_last_factor_stays_where_one_is_required(
    client: Client, configure: Set, required_for: str
) -> None:
    configure(second_factor=required_for)
    carol = make_staff("carol")
    sign_in_twice(client, carol)
    page = f"/accounts/2fa/totp/{carol.authenticator_set.get().pk}/"

    client.post(page, {"remove": "1"})

    stays = required_for != "optional"
    assert carol.authenticator_set.exists() is stays
    assert sign_in(Client(), "carol").url == (CHALLENGE if stays else "/")


def test_7_7_a_setting_that_becomes_stricter_closes_the_admin_at_once(
    client: Client, configure: Set
) -> None:
    configure(second_factor="optional")
    make_staff("carol", has_factor=False)
    assert sign_in(client, "carol").url == "/"
    assert client.get("/admin/").status_code == 200

    configure(second_factor="staff")

    assert client.get("/admin/", follow=True).request["PATH_INFO"] == SETUP
    assert client.post("/admin/accounts/user/").status_code == 302
