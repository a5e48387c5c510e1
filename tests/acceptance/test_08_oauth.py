"""Systems 8 and 10, sign-in with external providers.

Here are the rows that tests/attacks, tests/social and tests/faults do not cover. The tests in
Chromium with a real provider are in tests/browser.
"""

import pytest
from django.test import Client

from accounts.users.models import Identity, User
from tests.support.openid_provider import Person
from tests.support.signin import signed_in
from tests.support.social import ACME, come_back, go, round_trip
from tests.support.standards import proves
from tests.support.steps import PASSWORD, is_signed_in, make_user, sign_in

CONNECTIONS, CONFIRM = "/accounts/3rdparty/", "/accounts/3rdparty/confirm/"


@pytest.mark.parametrize("email", ["", "no address"])
def test_8_4_signing_in_works_without_an_email_from_the_provider(op, client, email):
    assert round_trip(client, op, Person("1", email)).url == "/"

    user = User.objects.get()
    assert (user.email, user.emails.count()) == ("", 0)
    assert "Add an email address" in client.get("/").text


def test_8_4_a_verified_email_of_an_existing_account_is_connected_after_a_sign_in(op, client):
    alice = make_user("alice")

    answer = round_trip(client, op, next="/accounts/sessions/")

    assert answer.url == f"/accounts/login/?next={CONFIRM}"
    assert "alice@example.org already exists" in client.get(answer.url).text
    assert not Identity.objects.exists()
    assert sign_in(client, "alice", next=CONFIRM).url == CONFIRM
    assert "sign in here as <bdi>alice</bdi>" in client.get(CONFIRM).text
    assert client.post(CONFIRM, {"connect": "1"}).url == "/accounts/sessions/"
    assert Identity.objects.get().user == alice
    assert round_trip(Client(), op).url == "/"
    assert User.objects.get() == alice


def test_8_6_a_provider_is_connected_and_disconnected_with_recent_authentication(op, clock):
    """Withstands another member: it is signed in at the provider."""
    alice = make_user("alice")
    client = signed_in(alice)
    assert round_trip(client, op, Person("a", "a@example.org"), act="connect").url == CONFIRM
    assert "can sign in to Acme as <bdi>a@example.org</bdi>" in client.get(CONFIRM).text
    assert not Identity.objects.exists()
    assert client.post(CONFIRM, {"connect": "1"}).url == CONNECTIONS
    page = client.get(CONNECTIONS).text
    assert "<strong>Acme</strong>" in page
    disconnect = {"disconnect": Identity.objects.get().pk}

    clock.advance(minutes=11)
    assert client.post(CONNECTIONS, disconnect).url.startswith("/accounts/reauthenticate/")
    assert client.post(f"/accounts/{ACME}/login/", {"act": "connect"}).url.startswith(
        "/accounts/reauthenticate/"
    )
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.post(CONNECTIONS, disconnect).url == CONNECTIONS

    assert not Identity.objects.exists()
    assert is_signed_in(client)


def test_8_6_the_only_sign_in_method_stays_until_a_password_is_set(op, client, clock):
    round_trip(client, op)
    disconnect = {"disconnect": Identity.objects.get().pk}
    assert 'name="disconnect"' not in client.get(CONNECTIONS).text
    client.post(CONNECTIONS, disconnect)
    assert Identity.objects.exists()

    clock.advance(minutes=11)
    set_page = "/accounts/password/set/"
    assert client.get(set_page).url == f"/accounts/reauthenticate/?next={set_page}"
    op.signed_in_at = clock.now().timestamp() - 600
    answer = round_trip(client, op, act="prove", next=set_page)
    assert answer.url.startswith("/accounts/reauthenticate/")
    op.signed_in_at = clock.now().timestamp() + 0.5
    url = go(client, act="prove", next=set_page)
    assert "prompt=login" in url
    assert "max_age=0" in url
    assert come_back(client, op.answer(url)).url == set_page
    assert client.post(set_page, {"password1": PASSWORD}).status_code == 302

    assert client.post(CONNECTIONS, disconnect).status_code == 302
    assert not Identity.objects.exists()


@proves("RFC9700-2.6-a")
def test_10_1_discovery_and_keys_of_an_issuer_are_fetched_once(op):
    for subject in ("a", "b"):
        round_trip(Client(), op, Person(subject))

    assert User.objects.count() == 2
    assert op.count("/.well-known/openid-configuration") == 1
    assert op.count("/jwks") == 1


def test_10_3_a_taken_nickname_gets_a_suffix_and_remember_me_and_next_survive(op, client):
    make_user("alice")
    person, wanted = Person("alice-1", username="Alice"), "/accounts/email/"

    assert round_trip(client, op, person, remember="on", next=wanted).url == wanted

    assert client.cookies["sessionid"]["max-age"]
    assert {user.username for user in User.objects.all()} == {"alice", "Alice-2"}
