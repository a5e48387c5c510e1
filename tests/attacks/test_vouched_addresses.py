"""Attacks by staff who confirm an address that is not the person's, or that nobody has proved."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.codes.services import LinkEnded
from accounts.common.client_info import NO_CLIENT
from accounts.emails import services as emails
from accounts.oauth.id_tokens import claims_of
from accounts.profile import services
from accounts.sessions.models import LoginSession
from accounts.users.models import PendingSignup, User
from accounts.users.services import confirm_email
from tests.support.administration import act, desk
from tests.support.api import call, get_tokens
from tests.support.api_jwt import ME
from tests.support.api_jwt import call as raw_call
from tests.support.disputes import lock_link, reloaded, reset_link, sets_password
from tests.support.oauth_client import audience, new_app
from tests.support.signin import signed_in
from tests.support.steps import CODE, is_signed_in, make_user, outbox, path_of, sign_up
from tests.support.wsgi import Program


def vouched_for(user, email):
    """Let carol confirm the address of ``user``; return the link that its mailbox got."""
    emails.add(user, email, NO_CLIENT)
    act(desk(), user, "confirm-address")
    links = [
        mail.action_url for mail in outbox() if mail.to == email and "refuse" in mail.action_url
    ]
    return path_of(links[-1])


def is_verified(user):
    return claims_of(User.objects.get(pk=user.pk), {"email"}).get("email_verified")


def signs_in_by_code():
    browser = Client()
    browser.post(CODE, {"login": "boss@example.net"})
    browser.post(CODE, {"code": outbox()[-1].code})
    return is_signed_in(browser)


ANSWERS = {
    "a link": lambda: sets_password(Client(), reset_link(to="boss@example.net")),
    "a code": signs_in_by_code,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_apps_do_not_trust_an_address_that_support_confirmed_before_its_mailbox_answers(answer):
    """Withstands a member of staff."""
    mallory = make_user("mallory")
    vouched_for(mallory, "boss@example.net")
    assert is_verified(mallory), "the primary address was confirmed by a code"
    mallory.emails.exclude(email="boss@example.net").delete()
    mallory.save_email("boss@example.net")
    assert is_verified(mallory) is False

    assert ANSWERS[answer]()

    assert is_verified(mallory) is True


def test_the_profile_tells_apps_whether_the_mailbox_has_answered(clock):
    alice, scope = make_user("alice"), "openid profile:read profile:write"
    signed_in(alice)
    app = new_app(scope=scope, audiences=[audience()])
    app = app.sign_in(LoginSession.objects.get(), scope)["access_token"]
    own = get_tokens()["access"]

    def told():
        me, user = (call(path, token=app) for path in ("me/", f"users/{alice.pk}/"))
        assert me.body == user.body
        return me["email_verified"]

    assert told() is True
    alice.emails.update(vouched_at=clock.now())

    assert told() is False
    assert "email_verified" not in call("me/", token=own).body
    etag = call("me/", token=app).headers["ETag"]
    sent = {"authorization": f"Bearer {app}", "If_Match": etag, "method": "PATCH"}
    assert raw_call(Program(), ME, {"about": "x"}, **sent)["email_verified"] is False


def test_the_owner_of_a_mailbox_refuses_the_account_that_support_gave_it_to():
    sign_up(Client(), "mallory", "boss@example.net")
    act(desk(), PendingSignup.objects.get(), "confirm-address")
    link = path_of(outbox()[-1].action_url)
    mallory, boss = User.objects.get(username="mallory"), Client()
    assert is_verified(mallory) is False

    assert "Remove your address?" in boss.get(link).text
    assert mallory.emails.exists(), "a program that opens the link changes nothing"
    assert "Your address was removed" in boss.post(link).text

    mallory.refresh_from_db()
    assert (mallory.email, mallory.emails.count()) == ("", 0)
    assert mallory.activity.latest("id").kind == "address_removed"
    assert [boss.get(link).status_code, boss.post(link).status_code] == [404, 404]


def test_a_mailbox_that_locks_the_account_has_not_confirmed_its_address(clock):
    """Withstands a member of staff.

    Otherwise mallory opens the account again, and apps take the address for theirs.
    """
    mallory, boss = make_user("mallory"), Client()
    refuse = vouched_for(mallory, "boss@example.net")
    clock.advance(days=8)
    services.rename(reloaded(mallory), "mallory2", Actor())

    boss.post(lock_link("username was changed", to="boss@example.net"))

    mallory.refresh_from_db()
    assert mallory.is_locked_down
    assert mallory.emails.filter(email="boss@example.net", vouched_at__isnull=False).exists()
    assert "Your address was removed" in boss.post(refuse).text


def test_nobody_refuses_an_address_whose_mailbox_has_answered():
    alice = make_user("alice")
    link = vouched_for(alice, "new@example.net")
    sets_password(Client(), reset_link(to="new@example.net"))

    assert Client().post(link).status_code == 404

    assert alice.emails.filter(email="new@example.net").exists()


def test_a_link_that_is_used_twice_at_once_removes_an_address_once(monkeypatch, clock):
    mallory = make_user("mallory")
    token = vouched_for(mallory, "boss@example.net").split("/")[-2]
    clock.advance(days=1)
    confirm_email(mallory, "newest@example.net")
    mallory.save_email("boss@example.net")
    services.rename(reloaded(mallory), "mallory2", Actor())
    lock = lock_link("username was changed", to="boss@example.net")
    found = emails.find_vouched(token)
    emails.refuse(token, Actor())
    monkeypatch.setattr(emails, "find_vouched", lambda _token: found)

    with pytest.raises(LinkEnded):
        emails.refuse(token, Actor())

    removed = mallory.activity.filter(kind="address_removed")
    assert list(removed.values_list("detail", flat=True)) == ["boss@example.net"]
    assert reloaded(mallory).email == "mallory@example.org", "the oldest of the others"
    assert mallory.emails.count() == 2
    assert Client().post(lock).status_code == 404, "a stranger does not lock the account"
