"""System 11, the administrator: signing in to the admin (row 5).

Row 3 is in tests/attacks/test_second_factor_codes.py.
"""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.users.models import User
from tests.support.administration import page_of
from tests.support.owner import OWNER, owner_link
from tests.support.second_factor import (
    CHALLENGE,
    SETUP,
    confirm_recovery_codes,
    enrolled,
    next_on,
    set_up_authenticator,
    take_second_step,
    unused_code,
)
from tests.support.standards import proves
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    address_of,
    code_in,
    is_signed_in,
    mail_to,
    make_staff,
    make_user,
    sign_in,
    sign_in_twice,
)

REAUTHENTICATE, WHAT_NEXT = "/accounts/reauthenticate/", "/accounts/what-next/"


def by_the_owner_link(client):
    return client.post(owner_link(), OWNER)


def by_createsuperuser(client):
    call_command(
        *("createsuperuser", "--noinput", "--username=carol"),
        f"--email={address_of('carol')}",
        verbosity=0,
    )
    page = client.get("/admin/", follow=True)
    assert page.request["PATH_INFO"] == LOGIN
    return sign_in(client, "carol", next=next_on(page))


@pytest.mark.parametrize("made", [by_the_owner_link, by_createsuperuser])
def test_11_5_a_new_administrator_must_enrol_a_second_factor_before_entering_the_admin(
    client, monkeypatch, made
):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    assert made(client).url == SETUP

    assert not is_signed_in(client)
    assert "/login/" in client.get("/admin/").url
    answer = confirm_recovery_codes(client, set_up_authenticator(client).url)
    assert answer.url == ("/admin/" if made is by_createsuperuser else WHAT_NEXT)
    assert client.get("/admin/").status_code == 200

    again = Client()
    page = again.get("/admin/accounts/user/", follow=True)
    assert page.request["PATH_INFO"] == LOGIN
    assert sign_in(again, "carol", next=next_on(page)).url == CHALLENGE
    assert "/login/" in again.get("/admin/").url
    carol = User.objects.get(username="carol")
    assert take_second_step(again, carol).url == "/admin/accounts/user/"
    assert again.get("/admin/accounts/user/").status_code == 200


def test_11_5_a_session_with_proofs_too_weak_for_staff_must_add_the_second_factor(client, clock):
    """Withstands a thief with a cookie: a staff account.

    The session began with a password and a mailed code, which do not suffice for staff.
    """
    carol = make_user("carol", emailed_codes=True)
    enrolled(carol)
    sign_in(client, "carol")
    client.post(CHALLENGE, {"mail": "1"})
    assert client.post(CHALLENGE, {"code": code_in(mail_to("carol").body)}).url == "/"
    User.objects.update(is_staff=True, is_superuser=True)

    asked = client.get("/admin/", follow=True)
    assert asked.request["PATH_INFO"] == REAUTHENTICATE
    client.post(REAUTHENTICATE, {"password": PASSWORD})
    assert client.get("/admin/").status_code == 302, "the password was shown before"

    proof = {"code": unused_code(carol), "next": next_on(asked)}
    assert client.post(REAUTHENTICATE, proof).url == "/admin/"
    assert client.get("/admin/").status_code == 200


@proves("V8.4.2")
def test_11_5_admin_forms_and_actions_need_a_recent_second_factor(client, clock):
    """Withstands a thief with a cookie."""
    carol, alice = make_staff("carol"), make_user("alice")
    sign_in_twice(client, carol)
    form = page_of(alice)

    for is_active in (False, True):
        clock.advance(minutes=5)
        assert client.get(form).status_code == 200
        clock.advance(seconds=1)
        act = f"{form}{'reactivate' if is_active else 'deactivate'}/"
        for path in (form, act):
            assert client.get(path).url.startswith(REAUTHENTICATE)
        assert client.get("/admin/accounts/user/").status_code == 200
        clock.advance(minutes=5)
        for path in ("/admin/accounts/user/", "/admin/auth/group/add/", form, act):
            asked = client.post(path, {"reason": "You asked us to"})
            assert asked.url.startswith(REAUTHENTICATE)
        assert User.objects.get(pk=alice.pk).is_active is not is_active

        assert client.post(asked.url, {"password": PASSWORD}).status_code == 200
        assert client.post(asked.url, {"code": unused_code(carol)}).url == act
        client.post(act, {"reason": "You asked us to"})
        assert User.objects.get(pk=alice.pk).is_active is is_active
