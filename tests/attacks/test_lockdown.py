"""Attacks on the lockdown of an account and on password resets."""

import re

import pytest
from django.core import serializers
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.codes.models import Code
from accounts.codes.services import LinkEnded
from accounts.emails import services as addresses
from accounts.passwords import changes
from accounts.sessions.models import LoginSession
from accounts.signin import services as signin
from accounts.users.models import EmailAddress, User
from accounts.users.services import confirm_email
from tests.support.api import get_tokens
from tests.support.lockdown import change_password, lock_down, switch_off
from tests.support.signin import SIGNED_UP, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    WRONG,
    WRONG_CODE,
    is_signed_in,
    mail_to,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

LOCKDOWN = "/accounts/lockdown/"
REAUTHENTICATE = "/accounts/reauthenticate/"
RESET = "/accounts/password/reset/"
BY_CODE = "/accounts/login/code/"
EMAIL = "/accounts/email/"


def newest_lock_link():
    """Return the path of the lock link in the newest mail."""
    return path_of(outbox()[-1].action_url)


def sign_in_from_a_new_browser():
    """Sign in as alice in a new browser; return the browser and the lock link of the notice."""
    return signed_in(User.objects.get(username="alice")), newest_lock_link()


def signed_in_with_notice():
    """Create alice and sign in twice; return the new browser and the lock link of its notice."""
    signed_in(make_user("alice"))
    return sign_in_from_a_new_browser()


def is_locked(username="alice"):
    return not User.objects.get(username=username).has_usable_password()


@proves("V3.5.3")
@pytest.mark.parametrize("method", ["get", "head", "options", "put"])
def test_a_mail_scanner_that_opens_the_lock_link_does_not_lock_the_account(method):
    """Withstands an accident."""
    browser, link = signed_in_with_notice()

    for path in (link, f"{link}?yes=1", link.rstrip("/")):
        getattr(Client(), method)(path, follow=True)

    assert not is_locked()
    assert is_signed_in(browser)
    assert Client().post(link).status_code == 200
    assert is_locked()


def test_a_lock_link_works_once_and_is_stored_as_a_digest():
    """Withstands a thief in the account."""
    _, older = signed_in_with_notice()
    browser, newer = sign_in_from_a_new_browser()

    secret = older.rstrip("/").rpartition("/")[2]
    assert len(secret) == 43
    assert secret not in serializers.serialize("json", Code.objects.all())

    assert [Client().post(older).status_code for _ in range(2)] == [200, 404]
    assert not is_signed_in(browser)
    assert "can’t lock the account with this address alone" in Client().post(newer).text, (
        "a mailbox locks alone only once"
    )


@pytest.mark.parametrize("days, good", [(29.99, True), (30, False)])
def test_a_lock_link_is_valid_for_thirty_days(clock, days, good):
    _, link = signed_in_with_notice()

    clock.advance(days=days)

    assert Client().get(link).status_code == (200 if good else 404)
    assert Client().post(link).status_code == (200 if good else 404)
    assert is_locked() is good


def test_a_user_cannot_lock_another_users_account():
    """Withstands another member."""
    browser, link = signed_in_with_notice()
    bob = signed_in(make_user("bob"), by=SIGNED_UP)
    his = LoginSession.objects.get(user__username="bob").pk

    alice = User.objects.get(username="alice")
    bob.post(f"{LOCKDOWN}?user={alice.pk}", {"user": str(alice.pk), "username": "alice"})
    assert (is_locked("bob"), is_locked("alice")) == (True, False)
    bob = signed_in(User.objects.get(username="bob"))

    assert b"alice" in bob.post(link).content

    assert is_locked("alice")
    assert is_signed_in(bob)
    assert not is_signed_in(browser)
    assert not Activity.objects.filter(user__username="alice", session=his).exists()


def mailed_codes_and_links(username):
    """Have codes and links mailed to a user; return, for each, a function that tries it."""
    session, asked = signed_in(User.objects.get(username=username)), Client()
    asked.post(BY_CODE, {"login": username})
    code = outbox()[-1].code
    Client().post(RESET, {"login": username})
    reset = path_of(outbox()[-1].action_url)
    new = f"{username}@example.net"
    session.post(EMAIL, {"email": new})
    link = path_of(outbox()[-1].action_url)

    def confirms():
        """Sign in again and open the link."""
        signed_in(User.objects.get(username=username)).post(link)
        return EmailAddress.objects.filter(email=new).exists()

    return {
        "code to sign in": lambda: (
            asked.post(BY_CODE, {"code": code}).status_code == 302 and is_signed_in(asked)
        ),
        "link of an address": confirms,
        "link of a reset": lambda: Client().post(reset, {"password1": WRONG}).status_code == 302,
    }


@pytest.mark.parametrize("what", ["code to sign in", "link of an address", "link of a reset"])
def test_a_lockdown_invalidates_only_the_codes_and_links_mailed_to_its_user(what):
    """Withstands a thief in the account."""
    alice, _bob = make_user("alice"), make_user("bob")
    hers, his = mailed_codes_and_links("alice"), mailed_codes_and_links("bob")

    lock_down(alice)

    assert not hers[what]()
    assert his[what]()


def test_no_password_opens_a_locked_account_and_a_later_sign_in_is_noticed_again():
    """Withstands a thief with the password."""
    signed_in(make_user("alice"))
    thief = Client()
    sign_in(thief, "alice")
    Client().post(path_of(outbox()[-1].action_url))
    alice = User.objects.get()
    for password in (PASSWORD, "", "!", alice.password, alice.former_hash):
        browser = Client()
        sign_in(browser, "alice", password)
        assert not is_signed_in(browser)
    change_password(alice)
    before = len(outbox())

    sign_in(thief, "alice", WRONG)

    assert is_signed_in(thief)
    assert len(outbox()) == before + 1


@pytest.mark.parametrize("happens", [change_password, switch_off, lock_down])
@pytest.mark.parametrize("again", [False, True], ids=["sign-in", "reauthentication"])
def test_a_password_checked_before_a_change_gives_no_session_after_it(monkeypatch, happens, again):
    alice = make_user("alice")
    browser = signed_in(alice) if again else Client()
    verify = signin.passwords.verify

    def verify_slowly(*args, **options):
        is_right = verify(*args, **options)
        happens(User.objects.get(pk=alice.pk))
        return is_right

    monkeypatch.setattr(signin.passwords, "verify", verify_slowly)
    path = REAUTHENTICATE if again else "/accounts/login/"
    answer = browser.post(path, {"login": "alice", "password": PASSWORD})

    assert answer.status_code == 302
    assert not is_signed_in(browser)


@pytest.fixture
def browsers():
    """Three browsers of alice, two of which caused a notice."""
    make_user("alice")
    browsers = [Client() for _ in range(3)]
    for browser in browsers:
        sign_in(browser, "alice")
    return browsers


@pytest.mark.parametrize("way", ["in a session", "by link", "by link in her own browser"])
def test_a_lockdown_revokes_all_sessions_keeps_the_history_and_says_what_to_do(browsers, way):
    path = LOCKDOWN if way == "in a session" else newest_lock_link()
    browser = Client() if way == "by link" else browsers[0]
    if way == "in a session":
        signed_in(User.objects.get(), browser, by=SIGNED_UP)
    before = list(Activity.objects.order_by("id"))

    done = browser.post(path)

    assert "Everyone has been signed out of <bdi>alice</bdi>" in done.text
    assert 'action="/accounts/logout/"' not in done.text, "there is no session to sign out of"
    assert not any(map(is_signed_in, browsers))
    *earlier, newest = Activity.objects.order_by("id")
    assert earlier == before
    shown = {"in a session": "pwd mail", "by link": "mail"}.get(way, "mail pwd")
    assert (newest.kind, newest.proof) == ("locked_down", shown)
    mail = mail_to("alice")
    assert mail.subject == "Your account was locked"
    assert "/accounts/password/reset/" in str(mail.body)
    assert LOCKDOWN not in str(mail.body)


@proves("V6.4.6")
def test_the_operator_reopens_a_locked_account_with_a_new_password(browsers, monkeypatch):
    lock_down(User.objects.get())

    monkeypatch.setattr("getpass.getpass", lambda **_: WRONG)
    call_command("changepassword", "alice", verbosity=0)

    assert sign_in(Client(), "alice", PASSWORD).status_code == 200
    assert sign_in(Client(), "alice", WRONG).url == "/"
    assert not any(map(is_signed_in, browsers)), "revoked sessions stay revoked"


NEW = "a lantern over seven wet roofs"


def ask_reset(login, browser=None):
    """Request a password reset; return the path of the mailed link."""
    assert (browser or Client()).post(RESET, {"login": login}).status_code == 200
    return path_of(outbox()[-1].action_url)


def ask_code(login, browser, **more):
    """Request a sign-in code by mail and return it."""
    assert browser.post(BY_CODE, {"login": login, **more}).status_code == 302
    return str(outbox()[-1].code)


def take(link, password=NEW):
    """Set a new password by a link; return the status of the answer."""
    return Client().post(link, {"password1": password}).status_code


def works(password, login="alice"):
    browser = Client()
    sign_in(browser, login, password)
    return is_signed_in(browser)


@proves("63B-4.2.2")
def test_a_reset_link_works_once_and_revokes_every_session():
    """Withstands a thief with the mailbox."""
    alice = make_user("alice")
    elsewhere, browser = signed_in(alice), Client()
    link = ask_reset("alice")

    assert browser.post(link, {"password1": NEW})["Location"] == LOGIN
    assert not is_signed_in(browser), "another browser has asked for the link"
    assert take(link, "another lantern over wet roofs") == 404
    assert not is_signed_in(elsewhere)
    assert works(NEW)
    assert not works(PASSWORD)
    assert outbox()[-2].to == "alice@example.org"
    assert "password was reset" in outbox()[-2].subject


@pytest.mark.parametrize(
    "hashed",
    ["$2b$12$abc", "bcrypt_sha256$$2b$12$abc", "scrypt:32768:8:1$abc$def", "argon2$argon2id$v=19",
     "pbkdf2_sha256$many$abc$def", "pbkdf2_sha256$1$a", "scrypt$1", "", "x" * 32],
)  # fmt: skip
def test_an_unverifiable_hash_is_a_wrong_password_that_its_owner_can_reset(hashed):
    """Withstands an operator's mistake: a hash is damaged."""
    make_user("alice", password=None)
    User.objects.update(password=hashed)

    refused = get_tokens()
    page = sign_in(Client(), "alice")

    assert (refused.status, refused.code) == (401, "invalid_credentials")
    assert "isn’t right" in page.text
    assert RESET in page.text
    assert take(ask_reset("alice")) == 302
    assert works(NEW)


def test_a_mail_scanner_that_opens_the_reset_link_changes_nothing(clock):
    """Withstands an accident.

    Opening a link does not use it up; it is valid for thirty minutes.
    """
    make_user("alice")
    link = ask_reset("alice")

    for _ in range(2):
        assert Client().get(link).status_code == 200
        assert Client().head(link).status_code == 200
    assert works(PASSWORD)

    clock.advance(minutes=29, seconds=59)
    assert Client().get(link).status_code == 200
    clock.advance(seconds=2)
    assert take(link) == 404


@pytest.mark.parametrize("change", ["password", "address", "removal", "switched off"])
def test_a_reset_link_is_invalid_after_any_change_of_the_account(change):
    alice = make_user("alice")
    link = ask_reset("alice")

    if change == "password":
        alice.set_password(NEW)
        alice.save()
    elif change == "address":
        browser = signed_in(alice)
        browser.post(EMAIL, {"email": "alice@example.net"})
        (row,) = re.findall(r'name="confirm" value="([^"]+)"', browser.get(EMAIL).text)
        browser.post(EMAIL, {"confirm": row, "code": outbox()[-1].code})
        assert alice.emails.count() == 2
    elif change == "removal":
        confirm_email(alice, "alice@example.net")
        link = ask_reset("alice", Client(REMOTE_ADDR="10.7.0.1"))
        addresses.remove(alice, alice.emails.latest("pk").pk, Actor())
    else:
        type(alice).objects.update(is_active=False)

    assert take(link, "a third lantern over the roofs") == 404


def test_using_one_reset_link_invalidates_the_others_of_the_account():
    make_user("alice")
    make_user("mallory")
    links = [ask_reset("alice"), ask_reset("alice@example.org")]
    others = ask_reset("mallory")

    assert Client().get(links[0]).status_code == 200, (
        "requesting another link does not invalidate a link"
    )
    found = [changes.find_reset(secret_of(link)) for link in links]
    assert changes.find_reset(secret_of(others)).user.username == "mallory"
    assert take(links[1]) == 302
    assert take(links[0]) == 404
    for link, before in zip(links, found, strict=True):
        with pytest.raises(LinkEnded):
            changes.reset(before, secret_of(link), "", Actor(), end_keys=(), shown=())
    assert take(others, "a lantern of mallory's own") == 302
    assert works("a lantern of mallory's own", "mallory")
    assert works(NEW)


def test_a_cut_blank_or_padded_reset_link_is_not_found():
    """Withstands a hostile client."""
    make_user("alice")
    link = ask_reset("alice").rstrip("/")

    for path in (f"{RESET}%20/", f"{link[:-1]}/", f"{link[:-1]}%20/", f"{link}A/", f"{link}%20/"):
        assert Client().get(path).status_code == 404, path
    assert Client().get(f"{link}/").status_code == 200


def test_mailed_links_and_codes_work_only_for_their_own_purpose():
    """Withstands a thief with the mailbox."""
    browser, asking = signed_in(make_user("alice")), Client()
    browser.post(EMAIL, {"email": "alice@example.net"})
    confirm = outbox()[-1].action_url
    notice = next(mail for mail in outbox() if "new browser" in mail.subject).action_url
    code = ask_code("alice", asking)

    for secret in (secret_of(confirm), secret_of(notice), code):
        assert Client().get(f"{RESET}{secret}/").status_code == 404
    reset = secret_of(ask_reset("alice"))
    assert Client().get(f"/accounts/lockdown/{reset}/").status_code == 404
    assert browser.get(f"{EMAIL}confirm/{reset}/").status_code == 404
    assert "wrong or has expired" in asking.post(BY_CODE, {"code": reset}).text


def secret_of(link):
    return link.rstrip("/").rpartition("/")[2]


@proves("V6.5.1")
def test_a_mailed_code_works_once_and_only_in_the_browser_that_requested_it():
    """Withstands a thief with the mailbox.

    Requests by others do not invalidate the code.
    """
    make_user("alice")
    hers, thiefs = Client(), Client()
    code = ask_code("alice", hers)
    ask_code("alice@example.org", thiefs)
    ask_code("alice", Client(REMOTE_ADDR="203.0.113.1"))

    assert "wrong or has expired" in thiefs.post(BY_CODE, {"code": code}).text
    assert hers.post(BY_CODE, {"code": f" {code[:4].lower()} {code[4:]}"})["Location"] == "/"
    assert is_signed_in(hers)
    hers.post("/accounts/logout/")
    hers.post(BY_CODE, {"code": code})
    assert not is_signed_in(hers)


@proves("V6.5.5")
def test_a_mailed_code_is_invalid_after_five_tries_ten_minutes_or_a_change(clock):
    """Withstands a guesser."""
    alice = make_user("alice")
    guessed, late, changed = Client(), Client(), Client()
    codes = [ask_code("alice", guessed), ask_code("ALICE@example.org", late)]
    for _ in range(5):
        guessed.post(BY_CODE, {"code": WRONG_CODE})
    guessed.post(BY_CODE, {"code": codes[0]})
    assert not is_signed_in(guessed)

    clock.advance(minutes=10)
    late.post(BY_CODE, {"code": codes[1]})
    assert not is_signed_in(late)

    code = ask_code("alice", changed)
    alice.set_password(NEW)
    alice.save()
    changed.post(BY_CODE, {"code": code})
    assert not is_signed_in(changed)


@proves("V1.3.11")
def test_cve_2019_19844_mails_go_to_the_stored_email_and_not_to_the_typed_one():
    """Withstands an impostor."""
    make_user("alice", email="alice@example.org")
    make_user("mallory", is_active=False)
    sign_up(Client(), "bob")

    for page in (RESET, BY_CODE):
        Client().post(page, {"login": "ALICE@EXAMPLE.ORG"})
        assert outbox()[-1].to == "alice@example.org"
        for login in ("al\u0131ce@example.org", "mallory", "bob"):
            Client().post(page, {"login": login})
            assert outbox()[-1].to == "", "nor to a deactivated account or a pending sign-up"
