"""The nine personas of ``docs/threats.md``: what they gain and how the owner undoes it."""

import pytest
from django.test import Client

from accounts.activity import events
from accounts.activity.mails import SUBJECTS
from accounts.emails.models import PendingEmail
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import EmailAddress, User
from tests.support.clock import Clock
from tests.support.disputes import (
    LOCK,
    MINE,
    NEW,
    RESET,
    REVIEW,
    known_browser,
    lock_link,
    recipients_of,
    reset_link,
    review,
    sets_password,
)
from tests.support.second_factor import (
    CHALLENGE,
    SETUP,
    enrolled,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db

BY_CODE = "/accounts/login/code/"
EMAIL = "/accounts/email/"


@pytest.fixture
def home(clock: Clock) -> Client:
    """A signed-out browser that alice's account has known for a month."""
    browser = known_browser(make_user("alice"))
    clock.advance(days=30)
    return browser


def alice() -> User:
    return User.objects.get(username="alice")


def cancels_recovery(browser: Client, password: str = PASSWORD) -> bool:
    """Return whether alice's sign-in with her factor cancels a waiting recovery request."""
    is_running = Recovery.objects.exists()
    sign_in(browser, "alice", password)
    browser.post(CHALLENGE, {"code": unused_code(alice())})
    return is_signed_in(browser) and is_running and not Recovery.objects.exists()


def test_a_thief_with_the_password_signs_in_only_to_an_account_without_a_factor(
    home: Client, clock: Clock
) -> None:
    thief = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(thief, "alice")
    assert is_signed_in(thief)
    thief.post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    set_up_authenticator(thief, name="Mallory’s")

    home.post(lock_link("from a new browser"))
    link = reset_link()
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    assert not is_signed_in(thief)
    assert not Authenticator.objects.exists()
    assert sign_in(Client(), "alice", "the thiefs own word 7").status_code == 200

    enrolled(alice())
    clock.advance(days=8)
    assert sign_in(thief, "alice", NEW).url == CHALLENGE
    thief.post(CHALLENGE, {"lost": "ask"})
    assert recipients_of("asked to remove your second factors") == {MINE}
    assert cancels_recovery(home, NEW)
    assert not is_signed_in(thief)


def test_a_thief_with_the_mailbox_resets_only_an_account_without_a_factor(
    home: Client, clock: Clock
) -> None:
    thief = Client(REMOTE_ADDR="198.51.100.7")
    assert sets_password(thief, reset_link())
    assert recipients_of("password was reset") == {MINE}

    home.post(lock_link("password was reset"))
    assert not sets_password(thief, reset_link())
    back = sign_in(home, "alice", PASSWORD)
    link = home.get(back.url).url
    assert sets_password(home, link), "her former password in her browser, without the mailbox"
    sign_in(home, "alice", NEW)
    home.post(REVIEW, {"done": "1"})

    set_up_authenticator(home)
    clock.advance(days=8)
    assert not sets_password(thief, reset_link())
    thief.post(reset_link(), {"lost": "ask"})
    home.post("/accounts/logout/")
    assert cancels_recovery(home, NEW)


def test_a_thief_with_a_former_mailbox_can_lock_the_account_once(home: Client) -> None:
    browser = signed_in(alice())
    users.confirm_email(alice(), "new@example.net")
    browser = signed_in(alice())
    browser.post(EMAIL, {"primary": EmailAddress.objects.get(email="new@example.net").pk})
    browser = signed_in(alice())
    browser.post(EMAIL, {"remove": EmailAddress.objects.get(email=MINE).pk})

    thief = Client(REMOTE_ADDR="198.51.100.7")
    thief.post(lock_link("email address was removed"))
    assert recipients_of("Your account was locked") == {"new@example.net", MINE}
    assert not sets_password(thief, reset_link(to=MINE))

    link = reset_link(to="new@example.net")
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    review(home, "keep", "new@example.net")
    home.post(REVIEW, {"done": "1"})
    links = [m for m in outbox() if m.to == MINE and LOCK in m.action_url]
    assert {thief.post(path_of(m.action_url)).status_code for m in links} == {404}
    assert thief.post(RESET, {"login": MINE}).status_code == 200
    assert mail_to_nobody()


def mail_to_nobody() -> bool:
    return outbox()[-1].to == ""


def test_a_thief_with_a_recent_session_changes_what_the_owner_can_restore(
    home: Client, clock: Clock
) -> None:
    enrolled(alice())
    clock.advance(days=8)
    thief = signed_in(alice())
    set_up_authenticator(thief, name="Mallory’s")
    thief.post(EMAIL, {"email": "thief@example.net"})
    code = outbox()[-1].code
    thief.post(EMAIL, {"confirm": PendingEmail.objects.get().pk, "code": code})
    assert EmailAddress.objects.count() == 2
    assert recipients_of("authenticator app was added") >= {MINE}

    home.post(lock_link("authenticator app was added"))
    assert not is_signed_in(thief)
    link = reset_link()
    clock.advance(minutes=1)
    home.post(link, {"code": unused_code(alice())})
    assert sets_password(home, link)
    assert [row.name for row in Authenticator.objects.all()] == ["Phone"]
    assert list(EmailAddress.objects.values_list("email", flat=True)) == [MINE]


def test_a_thief_with_a_stale_session_can_read_but_change_nothing(
    home: Client, clock: Clock
) -> None:
    owner = signed_in(alice(), home)
    thief = Client()
    thief.cookies["sessionid"] = owner.cookies["sessionid"].value
    clock.advance(minutes=11)
    acts = {
        "/accounts/password/change/": {"password1": NEW},
        EMAIL: {"email": "thief@example.net"},
        SETUP: {"code": "000000"},
        LOCK: {},
        "/accounts/keys/new/": {"name": "bot"},
        "/accounts/sessions/": {"others": "1"},
    }

    assert thief.get("/accounts/activity/").status_code == 200
    for path, data in acts.items():
        assert thief.post(path, data)["Location"].startswith("/accounts/reauthenticate/"), path
    guesses = [thief.post("/accounts/reauthenticate/", {"password": "x"}) for _ in range(5)]

    assert guesses[-1].status_code == 200
    assert recipients_of(str(SUBJECTS[events.PROOF_GUESSED])) == {MINE}
    other = signed_in(alice())
    other.post("/accounts/sessions/", {"others": "1"})
    assert not is_signed_in(thief)


def test_a_housemate_with_the_trusted_browser_and_mailbox_signs_in_but_changes_nothing(
    home: Client, clock: Clock
) -> None:
    enrolled(alice())
    sign_in(home, "alice")
    home.post(CHALLENGE, {"code": unused_code(alice()), "trust": "on"})
    home.post("/accounts/logout/")
    clock.advance(days=8)
    home.post(BY_CODE, {"login": "alice"})
    home.post(BY_CODE, {"code": outbox()[-1].code})
    assert is_signed_in(home)
    for path in ("/accounts/password/change/", SETUP, EMAIL, LOCK):
        answer = home.post(path, {"password1": NEW, "email": "thief@example.net"})
        assert answer["Location"].startswith("/accounts/reauthenticate/"), path

    assert not sets_password(home, reset_link())
    home.post(reset_link(), {"lost": "ask"})
    assert recipients_of("asked to remove your second factors") == {MINE}
    owner = Client()
    assert cancels_recovery(owner)
    owner.post("/accounts/sessions/", {"others": "1"})
    assert not is_signed_in(home)
    home.post(BY_CODE, {"login": "alice"})
    home.post(BY_CODE, {"code": outbox()[-1].code})
    assert not is_signed_in(home), "the browser is no longer trusted"
