"""The page for an event that the owner did not cause."""

import pytest
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, make_user

IPHONE = ClientInfo(
    "192.0.2.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
)
BUTTON = "Sign out this session"

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def page_of(row: Activity) -> str:
    return f"/accounts/activity/{row.pk}/"


def test_the_session_of_an_event_is_ended_from_its_page(client: Client, alice: User) -> None:
    thief = signed_in(alice)
    session = LoginSession.objects.get()
    row = record(alice, events.ADDRESS_ADDED, Actor(IPHONE, session.pk), detail="x@example.net")
    signed_in(alice, client)

    text = client.get(page_of(row)).text
    assert "This wasn’t me" in text
    assert "An email address was added" in text
    assert "x@example.net" in text
    assert "Safari on iPhone · <span" in text
    assert BUTTON in text
    assert 'href="/accounts/lockdown/"' in text
    assert is_signed_in(thief), "looking ends nothing"

    answer = client.post(page_of(row), follow=True)

    assert "was signed out." in answer.text
    assert "There’s no session to sign out" in answer.text
    assert BUTTON not in answer.text
    assert not is_signed_in(thief)
    assert Activity.objects.latest("id").kind == "session_ended"
    assert is_signed_in(client)
    assert client.post(page_of(row)).status_code == 404, "it is ended once"


def test_an_app_that_somebody_else_has_connected_leads_to_the_connected_apps(
    client: Client, alice: User
) -> None:
    signed_in(alice, client)
    row = record(alice, events.APP_CONNECTED, Actor(IPHONE), detail="Paperless")
    other = record(alice, events.APP_DISCONNECTED, Actor(IPHONE), detail="Paperless")

    text = client.get(page_of(row)).text
    assert "Disconnect <bdi>Paperless</bdi>" in text
    assert "Go to your connected apps" in text
    assert "Go to your connected apps" not in client.get(page_of(other)).text


def test_an_event_of_this_session_leads_to_the_password_and_not_to_a_sign_out(
    client: Client, alice: User
) -> None:
    signed_in(alice, client)
    row = record(alice, events.PASSWORD_SET, Actor(IPHONE, LoginSession.objects.get().pk))

    text = client.get(page_of(row)).text

    assert "This happened in your current session" in text
    assert BUTTON not in text
    assert client.post(page_of(row)).status_code == 404
    assert is_signed_in(client)


def test_an_act_of_staff_was_not_asked_for_and_their_session_is_theirs(
    client: Client, alice: User
) -> None:
    carol = signed_in(make_user("carol"))
    row = record(
        alice, events.SWITCHED_ON, Actor(IPHONE, LoginSession.objects.get().pk, name="carol")
    )

    text = signed_in(alice, client).get(page_of(row)).text

    assert "<h1>I didn’t ask for this</h1>" in text
    assert 'href="mailto:authsite@localhost"' in text
    for secret in ("carol", "192.0.2.1", "iPhone", BUTTON):
        assert secret not in text
    assert client.post(page_of(row)).status_code == 404
    assert is_signed_in(carol)


def test_an_act_of_an_api_key_leads_to_the_keys(client: Client, alice: User) -> None:
    row = record(alice, events.PROFILE_CHANGED, Actor(IPHONE, proof="api_key", key="backup"))

    text = signed_in(alice, client).get(page_of(row)).text

    assert "Remove the API key" in text
    assert "<bdi>backup</bdi>" in text


def test_nobody_sees_or_ends_what_is_anothers(client: Client, alice: User) -> None:
    hers = signed_in(alice)
    row = record(alice, events.PASSWORD_SET, Actor(IPHONE, LoginSession.objects.get().pk))
    signed_in(make_user("mallory"), client)

    assert client.get(page_of(row)).status_code == 404
    assert client.post(page_of(row)).status_code == 404
    assert client.get("/accounts/activity/99999999999999999999/").status_code == 404
    assert is_signed_in(hers)
