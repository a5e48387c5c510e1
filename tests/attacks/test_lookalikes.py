"""Usernames that look like another user's, like nothing, or like a name of the site."""

import pytest
from django.test import Client

from accounts.users.models import PendingSignup
from tests.support.api import call
from tests.support.nodes import AT_ONCE, browser_at, server_errors
from tests.support.signin import signed_in
from tests.support.site import together
from tests.support.steps import PASSWORD, make_staff, make_user, sign_up, sql

SAYS = {
    "Alice\ufe0f": "invisible or control characters",
    "Al\u3164ice": "invisible or control characters",
    "b\u043eb": "from one script",
    "\u0e01\u0e49\u0e49": "fewer accents or marks",
    "adm1n": "is reserved",
    "A1ice": "is taken",
}


@pytest.mark.parametrize("name", SAYS)
def test_a_username_that_looks_like_another_is_refused_with_the_reason(name):
    """Withstands an impostor."""
    make_user("alice")

    assert SAYS[name] in sign_up(Client(), name, "mallory@example.org").text
    person = {"username": name, "email": "mallory@example.org", "password": PASSWORD}
    answer = call("users/", person)
    assert answer.status == 400
    assert SAYS[name] in str(answer.body)
    browser = signed_in(make_user("mallory"))
    assert SAYS[name] in browser.post("/accounts/profile/", {"username": name}, follow=True).text
    assert not PendingSignup.objects.exists()


def test_sign_up_does_not_reveal_whether_a_reserved_username_is_used():
    """Withstands a spy."""
    before = [sign_up(Client(), name).status_code for name in ("support", "suPP0rt")]
    make_staff("support")

    for name in ("support", "suPP0rt"):
        assert "is reserved" in sign_up(Client(), name).text
    assert before == [200, 200]


def eight_sign_ups_of_names_that_look_alike(nodes, name):
    """Only one of the sign-ups is stored, however many arrive at once."""
    ways = [f"{name}{m}{one}{last}" for m in ("m", "rn") for one in "l1" for last in "o0"]
    browsers = [browser_at(nodes[i % 2], f"192.0.2.{i + 1}") for i in range(AT_ONCE)]

    answers = together(AT_ONCE, lambda i: sign_up(browsers[i], ways[i], f"{ways[i]}@example.org"))

    assert server_errors(answers) == []
    rows = sql(nodes[0], "SELECT username FROM accounts_pendingsignup")
    stored = {username for (username,) in rows} & {*ways}
    assert len(stored) == sum(answer.status == 302 for answer in answers) == 1


RACES = [eight_sign_ups_of_names_that_look_alike]


def test_two_processes_give_out_only_one_of_several_similar_usernames(nodes):
    """Withstands a race."""
    RACES[0](nodes, "race")
