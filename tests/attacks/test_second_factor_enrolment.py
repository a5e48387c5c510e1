"""Enrolment at the door: not skipped, not with a seed that others know, not by who is too late."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.attacks.second_steps import (
    factors_of,
    half_way,
    staff,
    with_factor,
)
from tests.support.second import CHALLENGE, SETUP, code_of, seed_on
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in
from tests.support.webauthn import ADD

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
BY_CODE = "/accounts/login/code/"
RESET = "/accounts/password/reset/"
NEW = "a lantern over seven wet roofs"


# How somebody who must enrol, and would rather not, might try to go on without it.
DETOURS: dict[str, Callable[[Client], Any]] = {
    "start over": lambda browser: sign_in(browser, "carol"),
    "the admin": lambda browser: browser.get("/admin/", follow=True),
    "the challenge": lambda browser: browser.post(CHALLENGE, {"code": "000000"}),
    "a mailed code there": lambda browser: browser.post(CHALLENGE, {"mail": "1"}),
    "the waiting period": lambda browser: browser.post(CHALLENGE, {"lost": "finish"}),
    "a fresh proof": lambda b: b.post("/accounts/reauthenticate/", {"password": PASSWORD}),
    "recovery codes": lambda browser: browser.post("/accounts/2fa/recovery-codes/", {"new": "1"}),
    "a seed of one's own": lambda b: b.post(SETUP, {"code": code_of("00" * 20), "seed": "00" * 20}),
    "sign out": lambda browser: browser.post("/accounts/logout/"),
}


@pytest.mark.parametrize("detour", DETOURS.values(), ids=DETOURS)
def test_cve_2026_94218_enrolment_is_not_skipped(detour: Callable[[Client], Any]) -> None:
    carol = staff()
    browser = half_way("carol")

    detour(browser)

    assert not is_signed_in(browser)
    assert carol.login_sessions.count() == 0
    assert factors_of(carol) == 0
    assert sign_in(browser, "carol")["Location"] == SETUP


def test_enrolment_is_not_skipped_by_a_mailed_code_or_a_new_password() -> None:
    staff()
    browser = Client()
    browser.post(BY_CODE, {"login": "carol"})
    assert browser.post(BY_CODE, {"code": str(outbox()[-1].code)})["Location"] == LOGIN
    assert not is_signed_in(browser)

    browser.post(RESET, {"login": "carol"})
    answer = browser.post(path_of(outbox()[-1].action_url), {"password1": NEW})

    assert answer.status_code == 403, "the mailbox alone sets no password of staff without a factor"
    assert sign_in(browser, "carol", NEW).status_code == 200
    assert not is_signed_in(browser)


def test_a_password_alone_adds_no_second_authenticator_at_the_door() -> None:
    alice, _seed = with_factor()
    browser = half_way()

    answers = [browser.get(SETUP), browser.post(SETUP, {"code": "000000"})]

    assert [answer["Location"] for answer in answers] == [CHALLENGE, CHALLENGE]
    assert factors_of(alice) == 1


def test_whoever_began_to_enrol_at_the_door_is_too_late_once_the_owner_has() -> None:
    carol = staff()
    mallory, owner = half_way("carol"), half_way("carol")
    theirs, hers = (seed_on(browser.get(SETUP).text) for browser in (mallory, owner))
    assert theirs != hers
    owner.post(SETUP, {"code": code_of(hers)})
    assert is_signed_in(owner)

    late = mallory.post(SETUP, {"code": code_of(theirs)})

    assert late["Location"].startswith(LOGIN)
    half_way("carol", mallory)
    assert mallory.post(SETUP, {"code": code_of(theirs)})["Location"] == CHALLENGE
    mallory.post(CHALLENGE, {"code": code_of(theirs)})
    assert not is_signed_in(mallory)
    assert is_signed_in(owner)
    assert factors_of(carol) == 1


def test_a_seed_that_mallory_saw_is_shown_neither_there_nor_elsewhere_again() -> None:
    """A machine that people share: begun with a stolen password, and left for the owner."""
    staff()
    browser = half_way("carol")
    seen = seed_on(browser.get(SETUP).text)
    assert seed_on(half_way("carol").get(SETUP).text) != seen

    half_way("carol", browser)
    again = seed_on(browser.get(SETUP).text)

    assert again != seen
    assert seed_on(browser.get(SETUP).text) == again, "but a reload shows what was scanned"


def test_a_seed_of_one_person_is_not_enrolled_for_another() -> None:
    staff()
    dave = make_user("dave", is_staff=True)
    browser = half_way("carol")
    seed = seed_on(browser.get(SETUP).text)

    half_way("dave", browser)
    browser.post(SETUP, {"code": code_of(seed)})

    assert not is_signed_in(browser)
    assert factors_of(dave) == 0


@pytest.mark.parametrize("page", [SETUP, ADD])
def test_a_sign_in_that_is_ended_while_the_page_is_made_enrols_nothing_and_is_no_fault(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another browser was quicker, right after this one was let through."""
    from accounts.signin import pending
    from accounts.users import services as users

    def ended(request: Any, real: Callable[[Any], Any] = pending.find) -> Any:
        found = real(request)
        users.void_proofs(type(carol).objects.get(pk=carol.pk))
        return found

    carol = staff()
    browser = half_way("carol")
    code = code_of(seed_on(browser.get(SETUP).text))
    monkeypatch.setattr(pending, "find", ended)

    assert browser.post(page, {"code": code, "credential": "{}"}).status_code in {200, 302}
    assert factors_of(carol) == 0
    assert not is_signed_in(browser)
