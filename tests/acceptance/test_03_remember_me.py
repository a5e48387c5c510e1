"""System 3: user logins. Row 4: how long a sign-in lasts, with and without remember-me."""

import re
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext

from tests.support.browser import ARGUMENTS, NAMES
from tests.support.missing import find
from tests.support.site import Site, text_of
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    code_in,
    confirm,
    is_signed_in,
    make_user,
    sign_in,
    sign_up,
)

REMEMBER_SECONDS = 30 * 24 * 3600
SESSIONS = "/accounts/sessions/"


@pytest.mark.django_db
def test_3_4_remember_me_is_what_makes_the_cookie_last(client: Client) -> None:
    make_user("alice")

    sign_in(client, "alice")
    ends_with_the_browser = client.cookies["sessionid"]
    assert (ends_with_the_browser["max-age"], ends_with_the_browser["expires"]) == ("", "")

    lasting = Client()
    sign_in(lasting, "alice", remember="on")
    assert lasting.cookies["sessionid"]["max-age"] == pytest.approx(REMEMBER_SECONDS, abs=60)


@pytest.mark.django_db
def test_3_4_remember_me_survives_the_confirmation_on_the_way(client: Client) -> None:
    sign_up(client, "alice")
    late = Client()
    sign_in(late, "alice", remember="on")

    confirm(late, "alice")

    assert is_signed_in(late)
    assert late.cookies["sessionid"]["max-age"] == REMEMBER_SECONDS


@pytest.mark.parametrize("remember", [True, False], ids=["remember", "forget"])
def test_3_4_a_sign_in_outlives_the_browser_only_if_asked_to(
    site: Site, chromium: Browser, tmp_path: Any, remember: bool
) -> None:
    username = f"carol{remember:d}"
    visitor = site.client()
    sign_up(visitor, username)
    mail = site.wait_for_mail(to=f"{username}@")
    visitor.post(CONFIRM, {"code": code_in(text_of(mail))})

    def browser() -> BrowserContext:
        return chromium.browser_type.launch_persistent_context(
            tmp_path,
            args=list(ARGUMENTS),
            base_url=site.origin,
            chromium_sandbox=False,
            executable_path=find(*NAMES),
        )

    with browser() as context:
        page = context.new_page()
        page.goto(LOGIN)
        page.get_by_label("Username or email").fill(username)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Keep me signed in").set_checked(remember)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", name=f"Hello, {username}").wait_for()
    with browser() as context:
        page = context.new_page()
        page.goto("/")
        heading = f"Hello, {username}" if remember else "Sign in"
        assert page.get_by_role("heading", level=1).inner_text() == heading


@pytest.mark.django_db
def test_3_4_a_sign_in_that_lasts_is_ended_from_elsewhere() -> None:
    make_user("alice")
    lasting, elsewhere = Client(headers={"user-agent": "curl/8.14.1"}), Client()
    for browser in (lasting, elsewhere):
        sign_in(browser, "alice", remember="on")

    page = elsewhere.get(SESSIONS).text
    (other,) = re.findall(r'name="end" value="([\w-]+)"', page)
    assert "curl" in page
    done = elsewhere.post(SESSIONS, {"end": other}, follow=True).text

    assert "The sign-in was ended." in done
    assert "You’re signed in nowhere else." in done
    assert not is_signed_in(lasting)
    assert is_signed_in(elsewhere)


@pytest.mark.django_db
def test_3_4_all_other_sign_ins_are_ended_at_once() -> None:
    make_user("alice")
    here, *others = (Client() for _ in range(4))
    for browser in (here, *others):
        sign_in(browser, "alice", remember="on")

    done = here.post(SESSIONS, {"others": "1"}, follow=True).text

    assert "3 sign-ins were ended." in done
    assert is_signed_in(here)
    assert not any(map(is_signed_in, others))
