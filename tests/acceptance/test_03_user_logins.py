"""System 3: user logins."""

import re
from urllib.parse import quote

import argon2
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, ScryptPasswordHasher
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.second_factor import (
    CHALLENGE,
    EMAILED_CODES,
    RECOVERY_CODES,
    SETUP,
    confirm_recovery_codes,
    next_on,
    recovery_codes_on,
    set_up_authenticator,
    take_second_step,
)
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    LOGOUT,
    PASSWORD,
    SIGNUP,
    by_mail,
    by_password,
    code_in,
    confirm,
    is_signed_in,
    link_in,
    mail_to,
    make_staff,
    make_user,
    sign_in,
    sign_in_twice,
    sign_up,
)

SESSIONS = "/accounts/sessions/"
WANTED = f"{SESSIONS}?from=a%20bookmark&page=1"
REMEMBER_SECONDS = 30 * 24 * 3600
EVIL = "/\\evil.example"
CURRENT = "argon2$argon2id$v=19$m=19456,t=2,p=1$"


def sign_in_page_for(client, path):
    """Request ``path`` without a session, and return the sign-in page that it leads to."""
    response = client.get(path, follow=True)
    assert response.request["PATH_INFO"] == LOGIN
    return response


def is_lasting(browser):
    """Return whether the session lasts thirty days instead of ending with the browser."""
    cookie = browser.cookies["sessionid"]
    if cookie["max-age"] == "":
        assert cookie["expires"] == ""
        return False
    assert cookie["max-age"] == pytest.approx(REMEMBER_SECONDS, abs=60)
    return True


@proves("V6.2.6")
def test_3_1_signing_in_leads_back_to_the_requested_page(client):
    make_user("alice")

    page = sign_in_page_for(client, WANTED)
    assert '<input type="password" name="password"' in page.text
    wrong = sign_in(client, "alice", "not the password", next=next_on(page))
    assert sign_in(client, "alice", next=next_on(wrong)).url == WANTED

    carol, staff = make_staff("carol"), Client()
    sign_in(staff, "carol", next=next_on(sign_in_page_for(staff, "/admin/?q=alice")))
    assert take_second_step(staff, carol).url == "/admin/?q=alice"
    assert staff.get("/admin/?q=alice").status_code == 200


def by_authenticator(client, alice, _spare):
    assert client.post(CHALLENGE, {"code": "22222-22222"}).status_code == 200, "the page stays"
    return take_second_step(client, alice)


def by_recovery_code(client, _alice, spare):
    return client.post(CHALLENGE, {"code": spare})


def by_mailed_code(client, _alice, _spare):
    assert client.post(CHALLENGE, {"mail": "1"}).url == CHALLENGE
    return client.post(CHALLENGE, {"code": code_in(mail_to("alice"))})


@pytest.mark.parametrize(
    "steps, more, amr",
    [
        ((by_password, by_authenticator), {"remember": "on"}, ["pwd", "otp"]),
        ((by_password, by_mailed_code), {}, ["pwd", "mail"]),
        ((by_mail, by_authenticator), {}, ["mail", "otp"]),
        ((by_mail, by_recovery_code), {"remember": "on"}, ["mail", "recovery_code"]),
    ],
)
def test_3_1_next_and_remember_me_survive_the_second_step(client, clock, steps, more, amr):
    """The session records its authentication methods and the assurance that they give."""
    alice, owner = make_user("alice"), Client()
    sign_in(owner, "alice")
    spare = recovery_codes_on(owner.get(set_up_authenticator(owner).url).text)[0]
    owner.post(EMAILED_CODES, {"emailed_codes": "on"})

    first, second = steps
    first(client, next=next_on(sign_in_page_for(client, WANTED)), **more)
    clock.advance(minutes=5)

    assert second(client, alice, spare).url == WANTED
    assert client.get(WANTED).status_code == 200
    assert is_lasting(client) is bool(more)
    session = LoginSession.objects.latest("begun_at")
    assert (session.amr, session.acr) == (amr, "aal1" if amr == ["pwd", "mail"] else "aal2")
    assert session.auth_time == clock.now(), "the last proof, not the first"
    row = alice.activity.filter(kind__startswith="signed_in").latest("id")
    assert (row.session, row.proof) == (session.pk, " ".join(amr))


def by_code_here(client):
    return client, confirm(client, "alice")


def by_link_here(client):
    return client, client.post(link_in(mail_to("alice")))


def by_link_elsewhere(_client):
    elsewhere = Client()
    return elsewhere, elsewhere.post(link_in(mail_to("alice")), {"password": PASSWORD})


def by_signing_in_elsewhere(_client):
    elsewhere = Client()
    assert sign_in(elsewhere, "alice", remember="on").url == CONFIRM
    return elsewhere, confirm(elsewhere, "alice")


@pytest.mark.parametrize(
    "way", [by_code_here, by_link_here, by_link_elsewhere, by_signing_in_elsewhere]
)
def test_3_1_next_survives_sign_up_confirmation_and_enrolment(client, configure, way):
    configure(second_factor="all")
    link = re.search(rf'href="({SIGNUP}[^"]*)"', sign_in_page_for(client, WANTED).text)
    assert link
    page = client.get(link[1].replace("&amp;", "&"))
    refused = sign_up(client, "alice", password1="short", next=next_on(page))
    assert sign_up(client, "alice", next=next_on(refused)).url == CONFIRM

    browser, answer = way(client)
    assert answer.url == SETUP
    assert not is_signed_in(browser)
    assert browser.post(SETUP, {"code": "1"}).status_code == 200, "a wrong code keeps next, too"
    codes = set_up_authenticator(browser)
    browser.post(codes.url, {"code": "aaaaa-aaaaa", "next": WANTED})

    assert confirm_recovery_codes(browser, codes.url).url == WANTED
    assert browser.get(WANTED).status_code == 200
    assert is_lasting(browser) is (way is by_signing_in_elsewhere)


def test_3_1_confirming_after_a_new_sign_in_leads_to_the_newly_requested_page(client):
    sign_up(client, "alice", next="/")

    page = sign_in_page_for(client, WANTED)
    assert sign_in(client, "alice", next=next_on(page)).url == CONFIRM
    assert sign_in(client, "alice").url == CONFIRM

    assert confirm(client, "alice").url == WANTED


@proves("V1.2.2", "V3.7.2", "RFC9700-2.1-b")
def test_3_2_next_never_leaves_the_site(client):
    """The URLs that are refused as ``next`` are listed in ``tests/common/test_common.py``."""
    query = f"?next={quote(EVIL)}"

    for page in (LOGIN, SIGNUP):
        assert next_on(client.get(page + query)) == ""
    assert client.get(f"/admin/login/{query}").url == f"{LOGIN}?next=/admin/"
    sign_up(client, "alice", next=EVIL)
    assert confirm(client, "alice").url == "/"
    for page in (LOGIN, SIGNUP):
        assert client.get(page + query).url == "/"
    assert sign_in(Client(), "alice", next=EVIL).url == "/"
    assert Client().post(LOGIN + query, {"login": "alice", "password": PASSWORD}).url == "/"

    make_staff("carol", has_factor=False)
    carol = Client()
    sign_in(carol, "carol", next=EVIL)
    assert set_up_authenticator(carol).url == RECOVERY_CODES
    code = recovery_codes_on(carol.get(RECOVERY_CODES).text)[0]
    assert carol.post(RECOVERY_CODES, {"code": code, "next": EVIL}).url == "/accounts/2fa/"


def test_3_4_remember_me_makes_a_session_last_until_it_is_revoked_elsewhere():
    make_user("alice")
    forgotten, here, *others = (Client(headers={"user-agent": f"curl/{n}"}) for n in range(5))
    sign_in(forgotten, "alice")
    for browser in (here, *others):
        sign_in(browser, "alice", remember="on")
        assert is_lasting(browser)
    assert not is_lasting(forgotten)

    listed = re.findall(r'name="end" value="([\w-]+)"', here.get(SESSIONS).text)
    here.post(SESSIONS, {"end": listed[0]})
    assert sum(map(is_signed_in, (forgotten, *others))) == 3
    here.post(SESSIONS, {"others": "1"})

    assert is_signed_in(here)
    assert not any(map(is_signed_in, (forgotten, *others)))


@pytest.mark.parametrize("login", ["aLiCe", "ALICE@Example.ORG"])
def test_3_5_username_and_email_sign_in_in_any_case(client, login):
    make_user("alice")

    assert sign_in(client, login).url == "/"
    assert is_signed_in(client)


@proves("V7.4.4", "WCAG-3.2.3")
def test_3_6_a_signed_in_person_is_greeted_and_can_sign_out_on_every_page(client):
    make_user("alice")
    sign_in(client, "alice")

    for page in (LOGIN, SIGNUP):
        assert client.get(page).url == "/"
        assert client.get(f"{page}?next={quote(WANTED)}").url == WANTED
    assert client.get(CONFIRM).url == "/"
    assert "<h1>Hello, <bdi>alice</bdi></h1>" in client.get("/").text
    for path, status in (("/", 200), ("/no-such-page", 404), ("/admin/", 403), (LOGOUT, 200)):
        response = client.get(path, follow=True)
        assert response.status_code == status
        assert f'method="post" action="{LOGOUT}">' in response.text


@proves("V3.5.3", "V14.3.1")
@pytest.mark.parametrize("page", [LOGOUT, "/admin/logout/"])
def test_3_6_get_asks_for_confirmation_and_post_signs_out(client, page):
    sign_in_twice(client, make_staff("carol"))

    assert "Sign out of" in client.get(page).text
    assert is_signed_in(client)
    assert "You’re signed out." in client.post(page, follow=True).text
    assert not is_signed_in(client)


WEAKER = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
OLD = {
    "pbkdf2": lambda: PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1),
    "scrypt": lambda: ScryptPasswordHasher().encode(PASSWORD, "salt", n=2),
    "weaker argon2": lambda: "argon2" + WEAKER.hash(PASSWORD),
}


@proves("V11.4.2", "63B-3.1.1.2-h")
@pytest.mark.production_hashes
@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
def test_3_7_an_outdated_hash_is_renewed_only_by_a_successful_sign_in(old):
    alice, bob = make_user("alice"), make_user("bob")
    before = old()
    User.objects.filter(pk=alice.pk).update(password=before)

    def after_sign_in(password):
        sign_in(Client(), "alice", password)
        alice.refresh_from_db()
        return alice.password

    assert after_sign_in("not the password") == before
    renewed = after_sign_in(PASSWORD)
    assert renewed.startswith(CURRENT)
    assert bob.password.startswith(CURRENT)
    assert bob.password != renewed, "equal passwords have different hashes"
    assert after_sign_in(PASSWORD) == renewed
    assert sign_in(Client(), "alice").url == "/"
