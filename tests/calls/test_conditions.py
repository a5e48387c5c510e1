"""``ETag``, ``If-Match`` and ``If-None-Match``, and what is left of a limit."""

import pytest

from accounts.activity.models import Activity
from accounts.users.models import User
from tests.support.administration import REASON, member, staff_token
from tests.support.api import API, call, get_tokens
from tests.support.api_jwt import ME
from tests.support.api_jwt import call as raw_call
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.wsgi import Program

CHANGED = (412, "precondition_failed")


@pytest.fixture
def bearer(token):
    return f"Bearer {token}"


def change(bearer, etag, **fields):
    body = fields or {"display_name": "Alice"}
    return raw_call(Program(), ME, body, method="PATCH", authorization=bearer, If_Match=etag)


def test_a_change_of_a_profile_that_was_changed_since_it_was_read_is_refused(bearer):
    read = raw_call(Program(), ME, authorization=bearer).headers["ETag"]

    first = change(bearer, f'"other", {read}')
    assert first.status == 200
    assert first.headers["ETag"] == raw_call(Program(), ME, authorization=bearer).headers["ETag"]
    for stale in (read, '"other"', "other", f"W/{first.headers['ETag']}", ""):
        assert change(bearer, stale, about="x").short == CHANGED
    assert change(bearer, "*", about="x").status == 200


def test_a_change_that_comes_between_the_check_and_the_change_is_noticed(bearer, monkeypatch):
    """Withstands a race: two programs change one profile."""
    read = raw_call(Program(), ME, authorization=bearer).headers["ETag"]
    lock = "accounts.users.services.lock_row_as_is"

    def change_first(user):
        User.objects.filter(pk=user.pk).update(about="other")
        return User.objects.get(pk=user.pk)

    monkeypatch.setattr(lock, change_first)

    assert change(bearer, read).short == CHANGED
    assert not User.objects.filter(display_name="Alice").exists()


def test_an_account_is_deleted_only_as_it_was_read(bearer):
    refused = raw_call(
        Program(), ME, {"username": "alice"}, method="DELETE", authorization=bearer, If_Match='"x"'
    )

    assert refused.short == CHANGED
    assert User.objects.get().deletion_due is None


def test_an_unchanged_profile_is_not_sent_again(bearer):
    read = raw_call(Program(), ME, authorization=bearer)
    unchanged = raw_call(Program(), ME, authorization=bearer, If_None_Match=read.headers["ETag"])

    assert (unchanged.status, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == read.headers["ETag"]
    assert raw_call(Program(), ME, authorization=bearer, If_None_Match='"x"').status == 200
    same = {"body": {"about": ""}, "method": "PATCH", "authorization": bearer}
    made = raw_call(Program(), ME, **same, If_None_Match=read.headers["ETag"])
    assert (made.status, made.headers["ETag"]) == (200, read.headers["ETag"])


def test_staff_act_only_on_the_account_that_they_have_read(alice, settings):
    set_up(settings, second_factor="off")
    enrolled(member("carol", "Manager"))
    bearer, path = f"Bearer {staff_token('carol')}", f"{API}admin/users/{alice.pk}/"
    read = raw_call(Program(), path, authorization=bearer).headers["ETag"]
    User.objects.filter(pk=alice.pk).update(username="alicia")

    def act(etag):
        return raw_call(
            Program(), f"{path}deactivate/", {"reason": REASON}, authorization=bearer, If_Match=etag
        )

    assert act(read).short == CHANGED
    assert User.objects.get(pk=alice.pk).is_active
    assert act(raw_call(Program(), path, authorization=bearer).headers["ETag"]).status == 200


def test_calls_say_what_is_left_of_the_callers_own_limits_and_of_no_others(token, clock):
    """Withstands a spy."""
    fields = {"name": "bot"}

    first, second = call("keys/", fields, token=token), call("keys/", fields, token=token)

    assert first.headers["RateLimit-Policy"] == '"key.new";q=60;w=7200'
    assert first.headers["RateLimit"] == '"key.new";r=59;t=120'
    assert second.headers["RateLimit"] == '"key.new";r=58;t=240'
    assert not [name for name in get_tokens("alice").headers if name.lower() == "ratelimit"]
    assert "RateLimit" not in call("me/", token=token).headers
    changes = [call("me/", {"about": str(i)}, method="PATCH", token=token) for i in range(31)]
    assert changes[-1].short == (429, "throttled")
    assert changes[-1].headers["RateLimit"] == '"profile.change";r=0;t=1800'
    assert Activity.objects.filter(kind="profile_changed").count() == 30
