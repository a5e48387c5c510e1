"""Which account a provider opens: the one of its issuer and subject, and no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.emails.models import PendingEmail
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.users import services as users
from accounts.users.models import EmailAddress, PendingSignup, User
from tests.support.clock import Clock
from tests.support.identities import ALICE, OTHER, SIGN_IN_FIRST, owners
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.social import configured, round_trip
from tests.support.steps import (
    CONFIRM,
    code_in,
    is_signed_in,
    link_in,
    mail_to,
    make_user,
    sign_in,
    sign_up,
    signed_up,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(op: OpenIDProvider, settings: Any) -> Iterator[OpenIDProvider]:
    """A second provider, configured beside the first one."""
    with OpenIDProvider() as second:
        configured(settings, op.setting(), second.setting("other", "Other"))
        yield second


def test_the_same_subject_at_a_second_issuer_is_another_user(
    op: OpenIDProvider, second: OpenIDProvider
) -> None:
    round_trip(Client(), op, Person("1", username="alice"))

    round_trip(Client(), second, Person("1", username="mallory"), OTHER)

    assert owners() == [("alice", "1"), ("mallory", "1")]


def test_10_4_a_second_issuer_with_the_same_verified_email_takes_no_account_over(
    op: OpenIDProvider, second: OpenIDProvider
) -> None:
    round_trip(Client(), op, ALICE)
    browser = Client()

    assert (
        round_trip(browser, second, Person("evil", "Alice@Example.org"), OTHER).url == SIGN_IN_FIRST
    )

    assert not is_signed_in(browser)
    assert owners() == [("alice", "alice-1")]
    assert (
        round_trip(Client(), second, Person("evil", "alice@example.org"), OTHER).url
        == SIGN_IN_FIRST
    )


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1, [True], {}], ids=repr)
def test_an_unverified_email_links_no_account_and_is_not_reserved(
    op: OpenIDProvider, verified: Any
) -> None:
    alice = make_user("alice")
    browser = Client()

    answer = round_trip(browser, op, Person("evil", "alice@example.org", verified))

    assert answer.url == "/"
    made = User.objects.exclude(pk=alice.pk).get()
    assert owners() == [(made.username, "evil")]
    assert made.email == ""
    round_trip(Client(), op, Person("evil-2", "bob@example.org", verified))
    assert is_signed_in(signed_up("bob"))


@pytest.mark.parametrize(
    "in_token, in_userinfo",
    [
        ({"email": "alice@example.org"}, {"email": "evil@example.org"}),
        ({"email": "alice@example.org", "email_verified": False}, {}),
    ],
    ids=["unsaid", "denied"],
)
def test_email_verified_applies_only_to_the_email_beside_it(
    op: OpenIDProvider, in_token: dict[str, Any], in_userinfo: dict[str, Any]
) -> None:
    """The ID token names one email, and the userinfo says that another one is verified."""
    make_user("alice")
    op.claims, op.userinfo = in_token, in_userinfo | {"email_verified": True}

    assert round_trip(Client(), op, Person("evil", "alice@example.org")).url == "/"

    assert User.objects.exclude(username="alice").get().email == ""


def test_cve_2026_53516_an_earlier_pending_sign_up_gets_no_access(
    op: OpenIDProvider,
) -> None:
    mallory = Client()
    sign_up(mallory, "mallory", email="alice@example.org")
    mail = mail_to("alice").body
    assert PendingSignup.objects.exists()

    assert round_trip(Client(), op, ALICE).url == "/"

    alice = User.objects.get()
    assert alice.email == "alice@example.org"
    assert not alice.has_usable_password()
    assert not PendingSignup.objects.exists()
    mallory.post(CONFIRM, {"code": code_in(mail)})
    mallory.post(link_in(mail))
    for login in ("mallory", "alice", "alice@example.org"):
        for browser in (mallory, Client()):
            sign_in(browser, login)
            assert not is_signed_in(browser)
    assert User.objects.count() == 1


def test_a_lockdown_removes_the_email_that_a_thief_added_to_an_account_without_one(
    op: OpenIDProvider, clock: Clock
) -> None:
    """Without an email, the provider counts as older proof beside the owner's known browser."""
    owner, thief, frank = Client(), Client(), Person("frank-1", username="frank")
    round_trip(owner, op, frank)
    clock.advance(days=30)
    op.signed_in_at = clock.now().timestamp()
    round_trip(thief, op, frank)
    thief.post("/accounts/email/", {"email": "mallory@example.org"})
    typed = {"confirm": PendingEmail.objects.get().pk, "code": code_in(mail_to("mallory").body)}
    thief.post("/accounts/email/", typed)
    assert User.objects.get().email == "mallory@example.org"
    round_trip(owner, op, frank)
    owner.post("/accounts/lockdown/")

    assert User.objects.get().email == ""
    assert not User.objects.get().emails.exists()
    for browser, opens in ((thief, False), (owner, True)):
        started = round_trip(browser, op, frank)
        assert not is_signed_in(browser)
        link = browser.get(started.url).url
        browser.post(link, {"lost": "ask"})
        browser.post(link, {"password1": "seven slow ferries hum"})
        assert sign_in(Client(), "frank", "seven slow ferries hum").status_code == (
            302 if opens else 200
        )


def test_a_thief_with_the_provider_account_cannot_recover_a_locked_account(
    op: OpenIDProvider, clock: Clock
) -> None:
    """The account had an email of its owner, so the provider's account is no proof."""
    owner, thief = Client(), Client()
    anne = Person("anne-1", username="anne", email="anne@example.org")
    round_trip(owner, op, anne)
    anne_here = User.objects.get()
    users.confirm_email(anne_here, "anne@example.net")
    clock.advance(days=30)
    op.signed_in_at = clock.now().timestamp()
    round_trip(thief, op, anne)
    users.confirm_email(User.objects.get(), "thief@example.net")
    for address in ("anne@example.org", "anne@example.net"):
        thief.post(
            "/accounts/email/", {"primary": EmailAddress.objects.get(key="thief@example.net").pk}
        )
        if row := EmailAddress.objects.filter(key=address).first():
            thief.post("/accounts/email/", {"remove": row.pk})
    assert User.objects.get().email == "thief@example.net"

    lock_down(User.objects.get(), Actor())

    started = round_trip(thief, op, anne)
    link = thief.get(started.url).url
    thief.post(link, {"password1": "seven slow ferries hum"})
    thief.post(link, {"lost": "ask"})
    assert User.objects.get().is_locked_down
    assert not Recovery.objects.exists()


def test_an_inactive_user_cannot_sign_in_with_a_provider(op: OpenIDProvider) -> None:
    round_trip(Client(), op, ALICE)
    User.objects.update(is_active=False)
    browser = Client()

    round_trip(browser, op, ALICE)

    assert not is_signed_in(browser)
