"""Enrolment during a sign-in: it cannot be skipped, and a seed is shown to one user only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.support.second_factor import CHALLENGE, SETUP, code_of, seed_on
from tests.support.second_steps import after_password, factors_of, staff, with_factor
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in
from tests.support.webauthn import ADD

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
BY_CODE = "/accounts/login/code/"
RESET = "/accounts/password/reset/"
NEW = "a lantern over seven wet roofs"


# Ways in which somebody might try to skip the required enrolment.
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
def test_cve_2026_94218_no_detour_skips_enrolment(detour: Callable[[Client], Any]) -> None:
    carol = staff()
    browser = after_password("carol")

    detour(browser)

    assert not is_signed_in(browser)
    assert carol.login_sessions.count() == 0
    assert factors_of(carol) == 0
    assert sign_in(browser, "carol")["Location"] == SETUP


def test_a_mailed_code_or_a_new_password_does_not_skip_enrolment() -> None:
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


def test_the_password_alone_cannot_enrol_a_second_authenticator_during_sign_in() -> None:
    alice, _seed = with_factor()
    browser = after_password()

    answers = [browser.get(SETUP), browser.post(SETUP, {"code": "000000"})]

    assert [answer["Location"] for answer in answers] == [CHALLENGE, CHALLENGE]
    assert factors_of(alice) == 1


def test_an_enrolment_begun_by_a_thief_is_invalid_once_the_owner_has_enrolled() -> None:
    carol = staff()
    mallory, owner = after_password("carol"), after_password("carol")
    theirs, hers = (seed_on(browser.get(SETUP).text) for browser in (mallory, owner))
    assert theirs != hers
    owner.post(SETUP, {"code": code_of(hers)})
    assert is_signed_in(owner)

    late = mallory.post(SETUP, {"code": code_of(theirs)})

    assert late["Location"].startswith(LOGIN)
    after_password("carol", mallory)
    assert mallory.post(SETUP, {"code": code_of(theirs)})["Location"] == CHALLENGE
    mallory.post(CHALLENGE, {"code": code_of(theirs)})
    assert not is_signed_in(mallory)
    assert is_signed_in(owner)
    assert factors_of(carol) == 1


def test_a_seed_shown_in_one_sign_in_is_not_shown_in_another() -> None:
    """A thief begins with a stolen password on a shared machine; the owner uses it next."""
    staff()
    browser = after_password("carol")
    seen = seed_on(browser.get(SETUP).text)
    assert seed_on(after_password("carol").get(SETUP).text) != seen

    after_password("carol", browser)
    again = seed_on(browser.get(SETUP).text)

    assert again != seen
    assert seed_on(browser.get(SETUP).text) == again, "a reload of the page shows the same seed"


def test_a_seed_shown_to_one_user_cannot_be_enrolled_for_another() -> None:
    staff()
    dave = make_user("dave", is_staff=True)
    browser = after_password("carol")
    seed = seed_on(browser.get(SETUP).text)

    after_password("dave", browser)
    browser.post(SETUP, {"code": code_of(seed)})

    assert not is_signed_in(browser)
    assert factors_of(dave) == 0


@pytest.mark.parametrize("page", [SETUP, ADD])
def test_enrolling_in_a_sign_in_that_just_became_invalid_causes_no_server_error(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another browser changes the account just after this one passed the check."""
    from accounts.signin import flow
    from accounts.users import services as users

    def ended(request: Any, real: Callable[[Any], Any] = flow.find_pending) -> Any:
        found = real(request)
        users.void_proofs_and_links(type(carol).objects.get(pk=carol.pk))
        return found

    carol = staff()
    browser = after_password("carol")
    code = code_of(seed_on(browser.get(SETUP).text))
    monkeypatch.setattr(flow, "find_pending", ended)

    assert browser.post(page, {"code": code, "credential": "{}"}).status_code in {200, 302}
    assert factors_of(carol) == 0
    assert not is_signed_in(browser)
