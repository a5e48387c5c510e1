"""Attacks with a sign-in whose second step or required enrolment is still missing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.signin import flow
from accounts.twofactor.services import devices
from accounts.users import services as users
from tests.support.administration import by_superuser
from tests.support.passkeys import options_of
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, seed_on
from tests.support.second_steps import (
    CHANGES,
    NEW,
    RESET,
    after_password,
    factors_of,
    mails_about,
    new_recovery_codes,
    with_factor,
)
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    LOGIN,
    LOGOUT,
    PASSWORD,
    by_mail,
    is_signed_in,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
)
from tests.support.urls import ROUTES, address
from tests.support.webauthn import ADD, Passkey, registered

CLOSED = {
    route for route, entry in ROUTES.items() if getattr(entry.callback, "login_required", True)
}

EVERYTHING = {
    **{"login": "carol", "username": "carol", "email": "carol@example.org", "password": PASSWORD},
    **{"password1": NEW, "next": "/admin/", "remove": "1", "others": "1", "new": "1"},
}


@proves("V2.3.1")
@pytest.mark.parametrize("has_factor", [True, False], ids=["second step", "enrolment"])
def test_7_3_an_unfinished_sign_in_reaches_no_page_and_gives_no_session(has_factor):
    """Withstands a thief with the password."""
    carol = make_staff("carol", has_factor=False)
    if has_factor:
        enrolled(carol)
    browser = after_password("carol")
    assert len(CLOSED) > 30

    # An open page, such as the one that signs out, may end the pending sign-in.
    for route in [*sorted(CLOSED), *sorted(ROUTES.keys() - CLOSED)]:
        for answer in (browser.get(address(route)), browser.post(address(route), EVERYTHING)):
            assert route not in CLOSED or "/login/?next=" in answer["Location"], route
        assert not is_signed_in(browser), route
    assert factors_of(carol) == int(has_factor)
    assert carol.login_sessions.count() == 0
    assert sign_in(Client(), "carol").status_code == 302, "the password has not changed"


def test_the_first_step_is_valid_for_thirty_minutes_and_is_not_extended(clock):
    _alice, seed = with_factor()
    late, busy, in_time = after_password(), after_password(), after_password()
    for _ in range(3):
        clock.advance(minutes=9, seconds=59)
        busy.post(CHALLENGE, {"mail": "1"})
        busy.post(CHALLENGE, {"code": "000000"})
        busy.get(CHALLENGE)

    in_time.post(CHALLENGE, {"code": code_of(seed)})
    clock.advance(seconds=3)
    answers = [browser.post(CHALLENGE, {"code": code_of(seed, 1)}) for browser in (late, busy)]

    assert is_signed_in(in_time)
    assert [answer["Location"].partition("?")[0] for answer in answers] == [LOGIN] * 2
    assert not is_signed_in(late)
    assert not is_signed_in(busy)


SWITCHES: dict[str, Callable[[Any], Any]] = {
    "switched off and on": lambda user: by_superuser(user, "deactivate", "reactivate"),
    "switched off": lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False),
    "deleted": lambda user: type(user).objects.filter(pk=user.pk).delete(),
}


@pytest.mark.parametrize("change", (CHANGES | SWITCHES).values(), ids=CHANGES | SWITCHES)
def test_an_unfinished_sign_in_is_invalid_once_credentials_change(change):
    alice, seed = with_factor()
    browser = after_password()

    change(alice)
    answer = browser.post(CHALLENGE, {"code": code_of(seed, 1)})

    assert answer["Location"] == LOGIN
    assert not is_signed_in(browser)


def test_a_code_mailed_before_a_change_is_invalid_after_it():
    alice, _seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    code = str(mails_about("code")[-1].code)
    new_recovery_codes(alice)

    browser = after_password(browser=browser)
    browser.post(CHALLENGE, {"code": code})

    assert not is_signed_in(browser)


@proves("V7.2.4")
def test_session_fixation_the_session_key_changes_at_both_steps():
    """Withstands an impostor."""
    _alice, seed = with_factor()
    browser, mallory, copy = Client(), Client(), Client()
    mallory.post(CODE, {"login": "mallory"})
    browser.cookies["sessionid"] = planted = mallory.cookies["sessionid"].value

    after_password(browser=browser)
    copy.cookies["sessionid"] = between = browser.cookies["sessionid"].value

    assert between != planted
    assert mallory.get(CHALLENGE)["Location"] == LOGIN
    browser.post(CHALLENGE, {"code": code_of(seed)})
    assert is_signed_in(browser)
    assert browser.cookies["sessionid"].value != between
    for other in (mallory, copy):
        assert other.get(CHALLENGE)["Location"] == LOGIN
        other.post(CHALLENGE, {"code": code_of(seed, 1)})
        assert not is_signed_in(other)


# What makes a mailed code useless as the second step of alice, who has typed her password.
USELESS: dict[str, Callable[[Client, Any], Any]] = {
    "the first step was by email": lambda browser, _alice: by_mail(browser),
    "staff": lambda _browser, alice: type(alice).objects.update(is_staff=True),
}


@pytest.mark.parametrize("make_useless", USELESS.values(), ids=USELESS)
def test_a_mailed_code_is_no_second_step_for_staff_or_after_a_sign_in_by_mail(make_useless):
    """This includes a code that was requested before in the same browser."""
    alice, seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    earlier = str(outbox()[-1].code)
    make_useless(browser, alice)
    count = len(outbox())

    assert browser.post(CHALLENGE, {"mail": "1"}).status_code == 401
    assert len(outbox()) == count
    browser.post(CHALLENGE, {"code": earlier})
    assert not is_signed_in(browser)
    browser.post(CHALLENGE, {"code": code_of(seed)})
    assert is_signed_in(browser)


# Ways in which somebody might try to skip the required enrolment.
DETOURS: dict[str, Callable[[Client], Any]] = {
    "start over": lambda browser: sign_in(browser, "carol"),
    "a mailed code": lambda browser: browser.post(CHALLENGE, {"mail": "1"}),
    "the waiting period": lambda browser: browser.post(CHALLENGE, {"lost": "finish"}),
    "a seed of one's own": lambda b: b.post(SETUP, {"code": code_of("00" * 20), "seed": "00" * 20}),
    "sign out": lambda browser: browser.post(LOGOUT),
}


@proves("V2.3.1")
def test_cve_2026_94218_no_detour_skips_enrolment():
    """Withstands a thief with the password."""
    carol = make_staff("carol", has_factor=False)
    browser = after_password("carol")

    for what, detour in DETOURS.items():
        detour(browser)
        assert not is_signed_in(browser), what
        assert sign_in(browser, "carol")["Location"] == SETUP, what
    assert carol.login_sessions.count() == 0
    assert factors_of(carol) == 0


def test_a_new_password_does_not_skip_enrolment():
    """Withstands a thief with the mailbox."""
    make_staff("carol", has_factor=False)
    browser = Client()
    browser.post(RESET, {"login": "carol"})
    answer = browser.post(path_of(outbox()[-1].action_url), {"password1": NEW})

    assert answer.status_code == 403, "the mailbox alone sets no password of staff without a factor"
    assert sign_in(browser, "carol", NEW).status_code == 200
    assert not is_signed_in(browser)


@pytest.mark.parametrize("give", [enrolled, registered])
def test_the_password_alone_adds_no_factor_to_an_account_with_one(give):
    alice = make_user("alice")
    give(alice)
    credential = Passkey().create(options_of(signed_in(alice), ADD))
    browser = after_password()

    for page, data in ((SETUP, {"code": "000000"}), (ADD, {"credential": credential})):
        assert browser.get(page).url == CHALLENGE
        assert browser.post(page, data).url == CHALLENGE
        assert Client().post(page, data).url.startswith(LOGIN)
    assert len(devices(alice)) == 1


def test_a_seed_shown_in_one_sign_in_is_neither_shown_nor_enrolled_in_another():
    """Withstands a thief with the password.

    A thief begins with a stolen password on a shared machine; the owner uses it next.
    """
    make_staff("carol", has_factor=False)
    dave = make_user("dave", is_staff=True)
    browser = after_password("carol")
    seen = seed_on(browser.get(SETUP).text)

    after_password("carol", browser)
    again = seed_on(browser.get(SETUP).text)
    assert again != seen
    assert seed_on(browser.get(SETUP).text) == again, "a reload of the page shows the same seed"

    after_password("dave", browser)
    browser.post(SETUP, {"code": code_of(again)})
    assert not is_signed_in(browser)
    assert factors_of(dave) == 0


@pytest.mark.parametrize("page", [SETUP, ADD])
def test_enrolling_in_a_sign_in_that_just_became_invalid_causes_no_server_error(page, monkeypatch):
    """Another browser changes the account just after this one passed the check."""

    def ended(request, real=flow.find_pending):
        found = real(request)
        users.void_proofs_and_links(type(carol).objects.get(pk=carol.pk))
        return found

    carol = make_staff("carol", has_factor=False)
    browser = after_password("carol")
    code = code_of(seed_on(browser.get(SETUP).text))
    monkeypatch.setattr(flow, "find_pending", ended)

    assert browser.post(page, {"code": code, "credential": "{}"}).status_code in {200, 302}
    assert factors_of(carol) == 0
    assert not is_signed_in(browser)


def test_whoever_has_shown_only_the_mailbox_opens_no_page_that_adds_an_app(settings):
    set_up(settings, second_factor="all")
    make_user("alice", password=None)
    browser = Client()

    assert by_mail(browser)["Location"] == ADD
    assert browser.get(SETUP)["Location"] == ADD
    assert browser.post(SETUP, {"code": "123456"})["Location"] == ADD
    assert browser.get(ADD).status_code == 200


@pytest.mark.parametrize(
    "password, advice",
    [(PASSWORD, "Sign in with your password first"), (None, "Ask the operator of this site")],
)
def test_staff_who_have_shown_only_the_mailbox_learn_what_comes_first(password, advice):
    make_user("alice", password=password, is_staff=True)
    browser = Client()

    assert by_mail(browser)["Location"] == LOGIN
    assert advice in browser.get(LOGIN).text
    assert not is_signed_in(browser)
