"""System 8: sign-in with others (OAuth). The tampered answers: tests/attacks; Chromium and a real
provider: tests/browser."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.identities.models import Identity
from accounts.users.models import User
from tests.acceptance.conftest import Set
from tests.conftest import Clock
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.second import CHALLENGE, enrolled, take_second_step
from tests.support.signin import signed_in
from tests.support.social import ACME, come_back, go, through
from tests.support.steps import PASSWORD, is_signed_in, make_user, sign_in, sign_up

CONNECTIONS, CONFIRM = "/accounts/3rdparty/", "/accounts/3rdparty/confirm/"
pytestmark = pytest.mark.django_db


def test_8_1_state_pkce_and_nonce_are_sent_and_a_wrong_state_asks_for_no_token(
    op: OpenIDProvider, client: Client
) -> None:
    url = go(client)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))
    answer = op.answer(url)

    for state in ("", "x", answer["state"][:-1]):
        assert come_back(client, {**answer, "state": state}).status_code == 400
    assert come_back(Client(), answer).status_code == 400
    assert op.count("/token") == 0
    assert come_back(client, answer).url == "/"
    assert come_back(client, answer).status_code == 400
    assert op.count("/token") == 1


def test_8_2_a_refusal_there_leads_back_with_a_plain_message_and_no_user(
    op: OpenIDProvider, client: Client
) -> None:
    op.refuses = True

    answer = through(client, op, next="/accounts/sessions/")

    assert answer.url == "/accounts/login/?next=/accounts/sessions/"
    assert "You didn’t sign in with Acme." in client.get(answer.url).text
    assert not User.objects.exists()


def test_8_3_the_first_sign_in_makes_an_account_and_the_second_finds_it(
    op: OpenIDProvider,
) -> None:
    first, second = Client(), Client()
    assert through(first, op).url == "/"
    op.person.email, op.person.username = "alice@new.example", "renamed"

    assert through(second, op).url == "/"

    user = User.objects.get()
    assert is_signed_in(first)
    assert is_signed_in(second)
    assert (user.username, user.email, user.display_name) == ("alice", "alice@example.org", "Alice")
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    "person",
    [
        Person("1", name="Bob"),
        Person("1", "bob@example.org", email_verified=False),
        Person("1", "bob@example.org", email_verified="true"),
        Person("1", "no address"),
    ],
)
def test_8_4_without_an_address_that_counts_it_works_and_nobodys_is_taken(
    op: OpenIDProvider, client: Client, person: Person
) -> None:
    bob = make_user("bob")

    assert through(client, op, person).url == "/"

    user = User.objects.exclude(pk=bob.pk).get()
    assert (user.email, user.addresses.count()) == ("", 0)
    assert "Add an address" in client.get("/").text


def test_8_4_a_verified_address_that_is_taken_asks_for_a_sign_in_to_that_account(
    op: OpenIDProvider, client: Client
) -> None:
    alice = make_user("alice")

    answer = through(client, op, next="/accounts/sessions/")

    assert answer.url == f"/accounts/login/?next={CONFIRM}"
    assert "There is an account with alice@example.org here." in client.get(answer.url).text
    assert not Identity.objects.exists()
    assert sign_in(client, "alice", next=CONFIRM).url == CONFIRM
    assert "will then be let in here as <bdi>alice</bdi>" in client.get(CONFIRM).text
    assert client.post(CONFIRM, {"connect": "1"}).url == "/accounts/sessions/"
    assert Identity.objects.get().user == alice
    assert through(Client(), op).url == "/"
    assert User.objects.get() == alice


@pytest.mark.parametrize("provider", ["google", "github", "facebook", "twitter_oauth2", "oidc/x"])
def test_8_5_an_unknown_provider_is_not_found(client: Client, provider: str) -> None:
    for page in ("login/", "login/callback/"):
        assert client.get(f"/accounts/{provider}/{page}").status_code == 404
        assert client.post(f"/accounts/{provider}/{page}").status_code == 404


def test_8_5_a_provider_that_hangs_gives_a_plain_page_within_five_seconds(
    op: OpenIDProvider, client: Client
) -> None:
    url = go(client)
    op.instead["/token"] = lambda _request: time.sleep(8)
    began = time.monotonic()

    answer = come_back(client, op.answer(url))

    assert time.monotonic() - began < 5
    assert answer.status_code == 400
    assert "<bdi>Acme</bdi> doesn’t answer" in answer.text
    assert not User.objects.exists()


def test_8_6_connect_and_disconnect(op: OpenIDProvider, clock: Clock) -> None:
    alice = make_user("alice")
    client = signed_in(alice)
    assert through(client, op, Person("a", "a@example.org"), act="connect").url == CONFIRM
    assert "signs in there as <bdi>a@example.org</bdi>" in client.get(CONFIRM).text
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


def test_8_6_the_last_way_in_stays_until_a_password_is_set_by_going_back_to_the_provider(
    op: OpenIDProvider, client: Client, clock: Clock
) -> None:
    through(client, op)
    disconnect = {"disconnect": Identity.objects.get().pk}
    assert 'name="disconnect"' not in client.get(CONNECTIONS).text
    client.post(CONNECTIONS, disconnect)
    assert Identity.objects.exists()

    clock.advance(minutes=11)
    set_page = "/accounts/password/set/"
    assert client.get(set_page).url == f"/accounts/reauthenticate/?next={set_page}"
    op.signed_in_at = clock.now().timestamp() - 600
    assert through(client, op, act="prove", next=set_page).url.startswith(
        "/accounts/reauthenticate/"
    )
    op.signed_in_at = clock.now().timestamp() + 0.5
    url = go(client, act="prove", next=set_page)
    assert "prompt=login" in url
    assert "max_age=0" in url
    assert come_back(client, op.answer(url)).url == set_page
    assert client.post(set_page, {"password1": PASSWORD}).status_code == 302

    assert client.post(CONNECTIONS, disconnect).status_code == 302
    assert not Identity.objects.exists()


def test_8_7_what_has_credentials_has_a_button_and_nothing_else_has_one(
    op: OpenIDProvider, client: Client, configure: Set
) -> None:
    assert "Continue with Acme" in client.get("/accounts/login/").text
    configure(github_client_id="id", github_client_secret="secret")
    page = client.get("/accounts/login/")
    assert "Continue with GitHub" in page.text
    assert "Continue with Google" not in page.text
    policy = page["Content-Security-Policy"]
    assert f"form-action 'self' {op.origin} https://github.com;" in policy
    assert "form-action 'self';" in client.get("/help/")["Content-Security-Policy"]


def test_the_second_step_is_asked_after_the_provider_too(op: OpenIDProvider) -> None:
    through(Client(), op)
    user = User.objects.get()
    enrolled(user)
    client = Client()

    assert through(client, op, remember="on", next="/accounts/sessions/").url == CHALLENGE

    assert not is_signed_in(client)
    assert take_second_step(client, user).url == "/accounts/sessions/"
    assert client.cookies["sessionid"]["max-age"]


def test_a_verified_address_ends_the_sign_ups_that_wait_for_it(op: OpenIDProvider) -> None:
    mallory, alice = Client(), Client()
    sign_up(mallory, "mallory", email="alice@example.org")

    through(alice, op)

    assert User.objects.get().email == "alice@example.org"
    assert sign_in(Client(), "mallory").status_code == 200
    assert sign_in(Client(), "alice@example.org").status_code == 200
