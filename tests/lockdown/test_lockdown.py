"""What a lockdown lists, what it does, and the one way back."""

import re

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from tests.conftest import Clock
from tests.support.steps import (
    PASSWORD,
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


def test_the_effects_are_listed_before_anything_happens(
    browsers: list[Client], clock: Clock
) -> None:
    assert "<li>All 3 sign-ins end, this one too.</li>" in browsers[0].get(LOCKDOWN).text
    outside = Client().get(link()).text
    assert "<li>All 3 sign-ins end, wherever they are.</li>" in outside
    assert "<li>The password stops working.</li>" in outside
    assert all(map(is_signed_in, browsers))

    clock.advance(hours=1)
    assert "sign-ins end" not in Client().get(link()).text, "there is none left to end"


@pytest.mark.parametrize("way", ["inside", "by link", "by link in her own browser"])
def test_a_lockdown_ends_everything_keeps_the_history_and_says_what_to_do(
    browsers: list[Client], way: str
) -> None:
    path = LOCKDOWN if way == "inside" else link()
    browser = Client() if way == "by link" else browsers[0]
    before = list(Activity.objects.order_by("id"))

    done = browser.post(path)

    assert "Nobody is signed in to <bdi>alice</bdi> any more" in done.text
    assert 'action="/accounts/logout/"' not in done.text, "nobody is there to sign out"
    assert not any(map(is_signed_in, browsers))
    *earlier, newest = Activity.objects.order_by("id")
    assert earlier == before
    assert (newest.kind, newest.proof) == ("locked_down", "pwd" if way == "inside" else "mail")
    told = mail_to("alice")
    assert told.subject == "authsite: The account was locked down"
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
