"""Signing in with others, in real browsers, at an OpenID Provider that shares no code with ours."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey
from playwright.sync_api import Page, expect

from tests.browser.looks import faults_of
from tests.browser.providers import CONNECTIONS, FAMOUS, Providers, arrive, go_to, providers, show
from tests.browser.steps import BOTH_WAYS, go, member, press, says, sees, sign_in, sign_out
from tests.browser.walk_social import walk_social
from tests.support.browser import OpenPage
from tests.support.openid_provider import Person
from tests.support.site import Site
from tests.support.steps import sql

LOGIN, SIGNUP = "/accounts/login/", "/accounts/signup/"


@pytest.fixture(scope="module")
def others() -> Iterator[Providers]:
    with providers() as running:
        yield running


@pytest.fixture(scope="module")
def site(others: Providers) -> Iterator[Site]:
    with others.site(**FAMOUS) as running:
        yield running


def people(site: Site) -> list[str]:
    return [
        name for (name,) in sql(site, "SELECT username FROM accounts_user ORDER BY date_joined")
    ]


@BOTH_WAYS
def test_alice_comes_with_acme_as_somebody_new_and_the_next_time_as_the_same(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    name = f"alice{scripts:d}"
    page = open_page(site, java_script_enabled=scripts)

    page.goto("/accounts/activity/?group=sign-in")
    page.get_by_label("Keep me signed in").check()
    go_to(page)
    show(page, name)
    sees(page, "Activity")
    expect(page).to_have_url(f"{site.origin}/accounts/activity/?group=sign-in")
    (kept,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    assert kept["expires"] != -1
    go(page, "Addresses")
    says(page, f"{name}@example.org")
    sign_out(page)

    before = people(site)
    go_to(page)  # she is still signed in there
    sees(page, f"Hello, The {name}")
    assert people(site) == before
    (kept,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    assert kept["expires"] == -1


def test_from_the_sign_up_page_it_goes_on_to_where_one_wanted_to_go(site: Site, page: Page) -> None:
    page.goto(f"{SIGNUP}?next=/accounts/sessions/")
    go_to(page)
    show(page, "newcomer")

    sees(page, "Where you’re signed in")


def test_who_refuses_at_the_provider_is_back_with_a_plain_message_and_nobody_is_made(
    site: Site, no_js_page: Page
) -> None:
    page, before = no_js_page, people(site)
    page.goto(f"{LOGIN}?next=/accounts/sessions/")
    go_to(page)
    press(page, "Refuse")

    says(page, "You didn’t sign in with Acme. Nothing has changed here.")
    assert people(site) == before
    go_to(page)  # and may think better of it, with the wish unforgotten
    show(page, "doubtful")
    sees(page, "Where you’re signed in")


@BOTH_WAYS
def test_whose_address_has_an_account_signs_in_to_it_and_says_whether_to_connect(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    name = f"bob{scripts:d}"
    member(site, name)
    page = open_page(site, java_script_enabled=scripts)

    for answer in ("Don’t connect", "Connect"):
        page.goto(f"{LOGIN}?next=/accounts/sessions/")
        go_to(page)
        if answer == "Don’t connect":
            show(page, name)
        says(page, f"There is an account with {name}@example.org here.")
        sign_in(page, name)
        sees(page, "Connect Acme with your account?")
        press(page, answer)
        sees(page, "Where you’re signed in")
        sign_out(page)
    go_to(page)
    sees(page, f"Hello, {name}")
    site.wait_for_mail(to=f"{name}@example.org", subject="with another site was connected")


def test_an_unverified_address_is_nobodys_and_the_account_has_none(site: Site, page: Page) -> None:
    member(site, "victim")
    arrive(page, "victim.unverified")

    go(page, "Addresses")
    expect(page.get_by_role("main")).not_to_contain_text("victim@example.org")
    assert people(site)[-2:] == ["victim", "victim-2"]


def test_the_same_subject_at_another_provider_is_somebody_else(
    site: Site, open_page: OpenPage
) -> None:
    for provider in ("Acme", "Rival"):
        arrive(open_page(site), "double.nowhere", provider)

    assert people(site)[-2:] == ["double", "double-2"]


@pytest.mark.parametrize("provider", ["Away", "Twisted"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_provider_whose_pages_are_elsewhere_is_reached_past_the_policy_of_forms(
    others: Providers, site: Site, open_page: OpenPage, provider: str, scripts: bool
) -> None:
    double = others.away if provider == "Away" else others.twisted
    double.person = Person("1", name=f"{provider} One")
    page, seen = open_page(site, java_script_enabled=scripts), []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    page.goto(LOGIN)
    go_to(page, provider)

    sees(page, f"Hello, {provider} One")
    leads_on = f"{site.origin}/accounts/oidc/{provider.lower()}/login/"
    assert (leads_on in seen) == (provider == "Away")


TWISTS: list[dict[str, Any]] = [
    {"claims": {"nonce": "of another"}},
    {"claims": {"iss": "http://127.0.0.1:9"}},
    {"claims": {"aud": "another"}},
    {"claims": {"exp": 1}},
    {"key": ECKey.generate_key("P-256", {"kid": "one"})},
    {"userinfo": {"sub": "another"}},
]


def test_a_provider_that_is_silent_or_not_to_be_believed_is_a_plain_page(
    others: Providers, site: Site, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, before = open_page(site, expect=(400,)), people(site)
    own = vars(others.twisted).copy()
    for provider, wrong in (("Silent", {}), *(("Twisted", wrong) for wrong in TWISTS)):
        for name, value in (own | wrong).items():
            monkeypatch.setattr(others.twisted, name, value)
        page.goto(f"{LOGIN}?next=/accounts/sessions/")
        began = time.monotonic()
        go_to(page, provider)
        sees(page, "That didn’t work")
        assert time.monotonic() - began < 5.5  # and the rest is Chromium's
        says(page, f"{provider} doesn’t answer, or not as it should.")
        page.get_by_role("link", name="Go back").click()
        expect(page).to_have_url(f"{site.origin}{LOGIN}?next=/accounts/sessions/")

    assert people(site) == before


def test_two_tabs_that_go_to_the_provider_both_lead_on(site: Site, page: Page) -> None:
    other = page.context.new_page()
    for tab, wish in ((page, "sessions"), (other, "activity")):
        tab.goto(f"{LOGIN}?next=/accounts/{wish}/")
        go_to(tab)
        sees(tab, "Sign in at Acme")
    show(page, "hasty")
    sees(page, "Where you’re signed in")
    show(other, "hasty")
    sees(other, "Activity")


def test_after_signing_out_the_back_button_shows_nothing_of_the_account(
    site: Site, page: Page
) -> None:
    arrive(page, "leaving")
    page.goto(CONNECTIONS)
    says(page, "leaving@example.org")
    sign_out(page)

    page.go_back()
    sees(page, "Sign in")
    assert "leaving" not in page.content()


@pytest.mark.parametrize("every_look", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_every_page_on_the_way_to_others_is_for_everybody_and_fits(
    site: Site, open_page: OpenPage, every_look: bool
) -> None:
    page, faults = open_page(site, expect=(400,)), []

    for title in walk_social(page, site, f"walker{every_look:d}"):
        expect(page).to_have_title(f"{title} \N{EN DASH} authsite")
        faults += faults_of(page, title, every_look=every_look)

    assert faults == []
