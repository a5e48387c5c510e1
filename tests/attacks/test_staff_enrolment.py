"""Attempts to enrol a second factor for staff with weak proofs."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.common.proofs import Method
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.second_factor import (
    CHALLENGE,
    SETUP,
    enrolled,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import set_up, signed_in
from tests.support.steps import CODE, LOGIN, PASSWORD, code_in, mail_to, make_user, path_of, sign_in

pytestmark = pytest.mark.django_db


def after_mailed_code(login: str, browser: Client) -> Any:
    """Take the first step with a mailed code; return the answer."""
    browser.post(CODE, {"login": login})
    return browser.post(CODE, {"code": code_in(mail_to(login))})


def test_a_trusted_browser_and_the_mailbox_cannot_enrol_a_passkey_for_staff(settings: Any) -> None:
    carol = make_user("carol", is_staff=True, is_superuser=True)
    enrolled(carol)
    browser = Client()
    sign_in(browser, "carol")
    browser.post(CHALLENGE, {"code": unused_code(carol), "trust": "on"})
    browser.cookies.pop("sessionid")
    set_up(settings, staff_factor="passkey")

    answer = after_mailed_code("carol", browser)

    assert answer["Location"] == CHALLENGE
    assert browser.get("/accounts/2fa/passkeys/add/")["Location"] == CHALLENGE
    browser.post(CHALLENGE, {"code": unused_code(carol)})
    assert browser.get("/accounts/2fa/passkeys/add/").status_code == 200


@pytest.mark.parametrize("promoted", [True, False])
def test_the_mailbox_or_the_password_alone_cannot_enrol_a_factor_for_staff(promoted: bool) -> None:
    carol = make_user("carol", is_staff=True, is_superuser=True)
    if promoted:
        User.objects.filter(pk=carol.pk).update(credential_version=1)
    else:
        User.objects.filter(pk=carol.pk).update(last_login=carol.date_joined)
    by_mail, by_password = Client(), Client()

    assert after_mailed_code("carol", by_mail)["Location"] == LOGIN
    assert by_mail.get(SETUP)["Location"].startswith(LOGIN)
    assert sign_in(by_password, "carol")["Location"] == CHALLENGE
    assert by_password.get(SETUP)["Location"] == CHALLENGE
    by_password.post(CHALLENGE, {"mail": "1"})
    answer = by_password.post(CHALLENGE, {"code": code_in(mail_to("carol"))})

    assert answer["Location"] == SETUP
    assert by_password.get(SETUP).status_code == 200


def test_the_first_sign_in_of_a_superuser_made_by_an_operator_leads_to_enrolment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, username="carol", email="", verbosity=0)

    assert sign_in(Client(), "carol")["Location"] == SETUP


def test_an_enrolment_link_works_once_for_staff_without_a_factor(capsys: Any) -> None:
    carol = make_user("carol", is_staff=True, last_login=make_user("bob").date_joined)
    call_command("enrolment_link", "carol")
    link = path_of(capsys.readouterr().out.strip())
    scanner, browser, thief = Client(), Client(), Client()

    assert scanner.get(link).status_code == 200
    assert browser.post(link)["Location"] == SETUP
    assert thief.post(link).status_code == 404
    assert browser.get(SETUP).status_code == 200
    enrolled(carol)
    for name in ("carol", "bob"):
        with pytest.raises(CommandError):
            call_command("enrolment_link", name)


@pytest.mark.parametrize("by", [(Method.MAIL,), (Method.PASSWORD,)])
def test_a_session_with_one_proof_from_before_a_promotion_cannot_add_a_factor(
    by: tuple[Method, ...],
) -> None:
    carol = make_user("carol")
    session = signed_in(carol, by=by)
    User.objects.update(is_staff=True)

    for page in (SETUP, "/accounts/2fa/passkeys/add/"):
        assert session.post(page).status_code == 403

    assert not Authenticator.objects.exists()
    both = signed_in(make_user("bob"), by=(Method.PASSWORD, Method.MAIL))
    User.objects.update(is_staff=True)
    assert set_up_authenticator(both).url.startswith("/accounts/2fa/")
