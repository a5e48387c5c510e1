"""What a lockdown lists, what it does, and the one way back."""

import html
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.steps import (
    PASSWORD,
    address_of,
    is_signed_in,
    mail_to,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db

LOCKDOWN = "/accounts/lockdown/"
NEW_PASSWORD = "slow comet over the harbour"


@pytest.fixture
def browsers() -> list[Client]:
    """Alice's three, of which the last two were new."""
    make_user("alice")
    browsers = [Client() for _ in range(3)]
    for browser in browsers:
        sign_in(browser, "alice")
    return browsers


def link() -> str:
    """The link of the newest notice."""
    (path,) = re.findall(rf"(?m)^https?://[^/]+({LOCKDOWN}[\w-]+/)$", str(mail_to("alice").body))
    return str(path)


def listed(answer: Any) -> list[str]:
    """The effects on the page."""
    return [html.unescape(item) for item in re.findall(r"<li>([^<]+)</li>", answer.text)]


REST = [
    "The password stops working.",
    "Sign-in codes and reset links that were mailed to you stop working.",
    "Nobody gets in, you neither, until you set a new password by a mail to one of your addresses.",
]


def test_the_effects_are_listed_before_anything_happens(
    browsers: list[Client], clock: Clock
) -> None:
    inside, outside = browsers[0].get(LOCKDOWN), Client().get(link())

    assert listed(inside) == ["All 3 sign-ins end, this one too.", *REST]
    assert listed(outside) == ["All 3 sign-ins end, wherever they are.", *REST]
    assert "Signed in from a new browser." in outside.text
    assert all(map(is_signed_in, browsers))
    clock.advance(hours=1)
    assert listed(Client().get(link())) == REST, "there is none left to end"


@pytest.mark.parametrize("way", ["inside", "by link", "by link in her own browser"])
def test_a_lockdown_ends_everything_and_says_what_to_do(browsers: list[Client], way: str) -> None:
    path = LOCKDOWN if way == "inside" else link()
    browser = Client() if way == "by link" else browsers[0]

    done = browser.post(path)

    assert "Nobody is signed in to <bdi>alice</bdi> any more" in done.text
    assert "What to do next" in done.text
    assert 'action="/accounts/logout/"' not in done.text, "nobody is there to sign out"
    assert not any(map(is_signed_in, browsers))
    assert not LoginSession.objects.filter(ended_at=None).exists()
    assert "is not right" in sign_in(Client(), "alice").text
    assert Activity.objects.get(kind="locked_down").proof == ("pwd" if way == "inside" else "mail")


def test_the_owner_is_told_how_the_account_is_opened_again(browsers: list[Client]) -> None:
    browsers[0].post(LOCKDOWN)

    told = mail_to("alice")

    assert told.subject == "authsite: The account was locked down"
    assert told.to == [address_of("alice")]
    assert "Set a new password to open it again:" in str(told.body)
    assert "/accounts/password/reset/" in str(told.body)
    assert LOCKDOWN not in str(told.body)


def test_whoever_runs_the_site_opens_it_again_with_a_new_password(
    browsers: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers[0].post(LOCKDOWN)

    monkeypatch.setattr("getpass.getpass", lambda **_: NEW_PASSWORD)
    call_command("changepassword", "alice", verbosity=0)

    assert sign_in(Client(), "alice", PASSWORD).status_code == 200
    assert sign_in(Client(), "alice", NEW_PASSWORD).url == "/"
    assert not any(map(is_signed_in, browsers)), "what has ended stays so"


def test_history_stays(browsers: list[Client]) -> None:
    before = list(Activity.objects.order_by("id").values_list("kind", flat=True))

    browsers[0].post(LOCKDOWN)

    kinds = list(Activity.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == [*before, "locked_down"]
    assert User.objects.get().email == address_of("alice")
