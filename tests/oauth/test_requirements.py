"""What an app requires of people before it gets a code: a recent sign-in, a factor, a group."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser

from accounts.common.proofs import Method
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest, Client
from accounts.users.models import User
from tests.support.apps import make_app
from tests.support.authorize import (
    address,
    allow,
    begin,
    first_party,
    page_of_request,
    result,
)
from tests.support.clock import Clock
from tests.support.oauth_client import browser_of, new_app
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, LOGOUT, PASSWORD, make_user, sign_in
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db


REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.fixture
def app() -> Client:
    return make_app(scope="openid profile email groups offline_access profile:write")


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "60"}, {"max_age": "0"}])
def test_prompt_login_and_max_age_ask_to_authenticate_again(
    clock: Clock, browser: Browser, changes: dict[str, str]
) -> None:
    app = first_party()
    clock.advance(seconds=61)

    page = begin(browser, app, **changes)
    assert page.url.startswith(f"{REAUTHENTICATE}?next=")
    for _ in range(2):
        assert browser.get(page_of_request(page)).url == page.url
    answer = browser.post(page.url, {"password": PASSWORD, "next": page_of_request(page)})

    clock.advance(seconds=30)
    assert "code" in result(browser.get(answer.url))


def test_a_recent_authentication_satisfies_max_age(clock: Clock, browser: Browser) -> None:
    app = first_party()
    clock.advance(seconds=60)

    for max_age in ("60", "9" * 18):
        assert "code" in result(browser.get(address(app, max_age=max_age)))


def test_who_has_no_password_signs_in_again_and_comes_back(clock: Clock) -> None:
    bob = make_user("bob", password=None)
    browser, app = signed_in(bob, by=[Method.MAIL]), first_party()
    clock.advance(seconds=1)
    page = begin(browser, app, prompt="login")
    here = page_of_request(page)

    form = browser.get(page.url).text
    assert "sign out, then sign in again" in form
    assert f'name="next" value="{here}"' in form
    assert browser.post(LOGOUT, {"next": here}).url == f"{LOGIN}?next={here}"
    signed_in(bob, browser, by=[Method.MAIL])
    assert "code" in result(browser.get(here))


def test_a_copied_session_cookie_gives_no_code(browser: Browser) -> None:
    """It comes from a browser that has not signed in, so its user must reauthenticate first."""
    app = first_party()
    other = Browser(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    other.cookies = browser.cookies

    page = begin(other, app)
    here = page_of_request(page)
    assert other.get(page.url).url.startswith(f"{REAUTHENTICATE}?next=")
    other.post(REAUTHENTICATE, {"password": PASSWORD, "next": here})
    assert "code" in result(other.get(here))


def test_an_app_that_needs_a_passkey_is_offered_no_code(alice: User) -> None:
    app, browser = first_party(factor="passkey"), signed_in(alice)
    page = begin(browser, app)
    here = page_of_request(page)
    assert page.url == f"/accounts/2fa/passkeys/add/?next={here.replace('/', '%2F')}"

    seed = enrolled(alice)
    registered(alice)
    browser = signed_in(User.objects.get(pk=alice.pk))
    page = begin(browser, app)
    assert page.url.startswith(f"{REAUTHENTICATE}?next=")
    form = browser.get(page.url).text
    assert "data-passkey" in form
    assert 'name="code"' not in form
    # The factor that the app needs cannot be stripped from the address.
    here = page_of_request(page)
    stripped = f"{REAUTHENTICATE}?next={here}"
    answer = browser.post(stripped, {"code": code_of(seed, 1), "next": here})
    assert answer.url == here
    assert browser.get(here).url == page.url


def test_an_app_that_needs_a_second_factor_asks_for_it_or_leads_to_setting_one_up(
    alice: User,
) -> None:
    app, browser = first_party(factor="second_factor"), signed_in(alice)
    page = begin(browser, app)
    assert page.url.startswith("/accounts/2fa/totp/setup/?next=%2Foauth%2Fcontinue")
    setup = browser.get(page.url).text
    assert "<bdi>Wiki</bdi> needs two-step verification" in setup
    assert f'href="/accounts/2fa/passkeys/add/?next={page_of_request(page)}"' in setup

    seed = enrolled(alice)
    trusting = signed_in(
        User.objects.get(pk=alice.pk), by=[Method.PASSWORD, Method.TRUSTED_BROWSER]
    )
    page = begin(trusting, app)
    here = page_of_request(page)
    assert page.url.startswith(REAUTHENTICATE)
    trusting.post(page.url, {"code": code_of(seed), "next": here})
    assert "code" in result(trusting.get(here))


def test_acr_values_ask_people_for_a_factor_only_if_they_hold_one(
    alice: User, browser: Browser
) -> None:
    app = first_party()
    assert "code" in result(browser.get(address(app, acr_values="aal2")))

    enrolled(alice)
    trusting = signed_in(
        User.objects.get(pk=alice.pk), by=[Method.PASSWORD, Method.TRUSTED_BROWSER]
    )
    assert "code" in result(trusting.get(address(app, acr_values="aal1 aal2")))
    assert begin(trusting, app, acr_values="phr aal2 aal1").url.startswith(REAUTHENTICATE)


def test_people_outside_the_group_of_an_app_are_told_so(alice: User, browser: Browser) -> None:
    group = Group.objects.create(name="Editors")
    app = first_party(required_group=group)

    page = begin(browser, app)
    assert page.status_code == 403
    assert "You can’t sign in to <bdi>Wiki</bdi>" in page.text
    assert result(allow(browser, page, "cancel"))["error"] == "access_denied"

    alice.groups.add(group)
    assert "code" in result(browser.get(address(app)))


def test_select_account_asks_which_account_to_use(browser: Browser) -> None:
    page = begin(browser, first_party(), prompt="select_account")
    assert "Continue with this account" in page.text

    answer = allow(browser, page, "choose")

    assert "code" in result(browser.get(answer.url))


def test_another_account_signs_in_and_continues_the_same_request(
    app: Client, browser: Browser
) -> None:
    bob = make_user("bob")
    elsewhere = signed_in(User.objects.get(username="alice"))
    here = page_of_request(begin(browser, app, prompt="select_account"))

    answer = browser.post(LOGOUT, {"next": here})
    assert answer.url == f"{LOGIN}?next={here}"
    sign_in(browser, "bob", next=here)
    answer = allow(browser, browser.get(here))

    assert "code" in result(answer)
    assert AuthorizationCode.objects.get().user == bob
    assert elsewhere.get("/").status_code == 200


def test_an_id_token_hint_lets_only_that_person_continue(alice: User, browser: Browser) -> None:
    app = new_app(is_first_party=True)
    hint = app.sign_in(browser_of(alice))["id_token"]
    mallory = signed_in(make_user("mallory"))

    assert "code" in result(browser.get(address(app.client, id_token_hint=hint)))
    answer = mallory.get(address(app.client, id_token_hint=hint, prompt="none"))
    assert result(answer)["error"] == "login_required"
    page = begin(mallory, app.client, id_token_hint=hint)
    assert "asked for a different account" in page.text
    assert "asked for a different account" in allow(mallory, page, "choose").text
    mallory.post(LOGOUT, {"next": page_of_request(page)})
    sign_in(mallory, "alice")
    assert "code" in result(mallory.get(page_of_request(page)))


def test_an_id_token_of_another_app_or_a_forged_one_is_no_hint(
    alice: User, browser: Browser
) -> None:
    app, other = new_app(is_first_party=True), new_app("Other")
    hint = app.sign_in(browser_of(alice))["id_token"]
    tokens = other.sign_in(browser_of(alice))

    for text in (hint[:-9] + "AAAAAAAAA", tokens["id_token"], tokens["access_token"], "x.y.z"):
        answer = browser.get(address(app.client, id_token_hint=text))
        assert result(answer)["error"] == "invalid_request"


@pytest.mark.parametrize(
    "fields, changes, error",
    [
        ({}, {}, "consent_required"),
        ({"is_first_party": True}, {"max_age": "0"}, "login_required"),
        ({"is_first_party": True, "factor": "passkey"}, {}, "interaction_required"),
        ({"factor": "second_factor"}, {}, "interaction_required"),
    ],
)
def test_prompt_none_gets_an_error_instead_of_a_page(
    clock: Clock, browser: Browser, fields: Any, changes: dict[str, str], error: str
) -> None:
    app = make_app(scope="openid email", **fields)
    clock.advance(seconds=1)

    answer = browser.get(address(app, prompt="none", **changes))

    assert (result(answer)["error"], result(answer)["state"]) == (error, "s-1")
    assert not AuthorizationRequest.objects.exists()


def test_prompt_none_without_a_session_gets_login_required(app: Client) -> None:
    assert result(Browser().get(address(app, prompt="none")))["error"] == "login_required"


@pytest.mark.parametrize("factor", [Client.Factor.ANY, Client.Factor.PASSKEY])
def test_cancelling_the_set_up_of_a_factor_leads_back_to_the_app(
    browser: Browser, factor: Client.Factor
) -> None:
    page = begin(browser, first_party(factor=factor))
    here = page_of_request(page)

    assert f'name="act" value="cancel" formaction="{here}"' in browser.get(page.url).text
    assert result(browser.post(here, {"act": "cancel"}))["error"] == "access_denied"
