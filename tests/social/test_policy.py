"""What the site still requires after a provider has authenticated a person."""

import pytest
from django.test import Client

from accounts.common.issuers import ISSUERS
from accounts.signin import policy
from accounts.users.models import Identity, User
from tests.support.disputes import NEW, REVIEW, asks_to_wait, lock, reset_link, sets_password
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.second_factor import CHALLENGE, enrolled, unused_code
from tests.support.social import configured, round_trip
from tests.support.steps import is_signed_in, mail_to, path_of, sign_in

OTHER, RESET = "oidc/other", "/accounts/password/reset/"
LOCKDOWN, CONNECTIONS = "/accounts/lockdown/", "/accounts/3rdparty/"


@pytest.fixture
def other():
    with OpenIDProvider() as other:
        yield other


def test_after_a_provider_a_mailed_code_is_no_second_step_and_a_trusted_browser_skips_it(op):
    round_trip(Client(), op)
    user = User.objects.get()
    enrolled(user)
    here = Client()

    assert round_trip(here, op).url == CHALLENGE
    assert "method=email" not in here.get(CHALLENGE).text
    here.post(CHALLENGE, {"code": unused_code(user), "trust": "on"})
    here.post("/accounts/logout/")

    assert round_trip(here, op).url == "/"
    assert is_signed_in(here)
    assert "Signed in with Acme and trusted browser" in here.get("/accounts/activity/").text
    assert "signed in with Acme and trusted browser" in here.get("/accounts/sessions/").text


def test_after_a_lockdown_a_provider_signs_in_only_once_the_review_has_kept_it(
    op, other, settings, clock
):
    """Withstands a malicious server."""
    configured(settings, op.setting(), other.setting("other", "Other"))
    client = Client()
    round_trip(client, op)
    clock.advance(days=30)
    op.signed_in_at = clock.now().timestamp()
    round_trip(client, op)
    round_trip(client, other, Person("mallory-1", username="mallory"), OTHER, act="connect")
    client.post(f"{CONNECTIONS}confirm/", {"connect": "1"})
    assert Identity.objects.count() == 2

    page = client.get(LOCKDOWN).text
    assert "<bdi>Other (mallory)</bdi>" in page
    lock(User.objects.get())

    assert round_trip(Client(), op).url == RESET
    client.post(RESET, {"login": "alice"})
    (link,) = [line for line in str(mail_to("alice").body).splitlines() if RESET in line]
    assert asks_to_wait(client, path_of(link))
    clock.advance(hours=73)
    assert sets_password(client, reset_link())
    assert round_trip(Client(), op).url == RESET, "the review is not finished"
    assert User.objects.count() == 1
    sign_in(client, "alice", NEW)
    mine, mallorys = Identity.objects.order_by("pk")
    client.post(REVIEW, {"keep_identity": mine.pk})
    client.post(REVIEW, {"delete_identity": mallorys.pk})

    back = Client()
    assert round_trip(back, op).url == "/"
    assert is_signed_in(back)
    assert Identity.objects.get() == mine


def test_a_person_reauthenticates_at_a_connected_provider_that_says_when(op, settings, alice):
    configured(settings, op.setting(), github_client_id="x", github_client_secret="x")
    alice.set_unusable_password()

    for issuer, accepted in ((ISSUERS["github"], "github"), (op.issuer, "oidc/acme")):
        Identity.objects.create(user=alice, issuer=issuer, subject="1")
        assert [row.key for row in policy.provers(alice)] == [accepted]
    Identity.objects.filter(issuer=op.issuer).delete()
    alice.set_password("x")
    assert policy.provers(alice) == [], "the password is better"
