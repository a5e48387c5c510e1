"""The API calls ``me/`` and ``users/<id>/``."""

import pytest
from django.contrib.auth.models import Group, Permission

from accounts.activity.models import Activity
from accounts.users.models import PendingSignup, User
from tests.support.api import call, get_tokens, second_step
from tests.support.second_factor import unused_code
from tests.support.signin import set_up
from tests.support.steps import PASSWORD, address_of, make_staff, make_user

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def alice(clock):
    return make_user("alice")


def change(token, data):
    return call("me/", data, token=token, method="PATCH")


def test_me_returns_the_account_without_secrets(alice, token):
    Group.objects.create(name="printers").user_set.add(alice)

    assert call("me/", token=token).body == {
        "id": str(alice.pk),
        "username": "alice",
        "email": address_of("alice"),
        **{"display_name": "", "given_name": "", "family_name": ""},
        **{"about": "", "language": "", "time_zone": "UTC"},
        "groups": ["printers"],
        "is_staff": False,
        "date_joined": alice.date_joined.isoformat().replace("+00:00", "Z"),
    }


def test_a_profile_change_is_stored_returned_and_recorded(alice, token):
    answer = change(token, {"display_name": "Alice <3", "about": " two\r\nlines "})

    alice.refresh_from_db()
    assert answer.status == 200
    assert answer.body == call("me/", token=token).body
    assert (alice.display_name, alice.about) == ("Alice <3", "two\nlines")
    for unchanged in ({"about": "two\nlines"}, {}):
        assert change(token, unchanged).body == answer.body
    assert Activity.objects.filter(user=alice, kind="profile_changed").count() == 1
    assert change(token, {"about": "", "language": ""})["about"] == ""
    assert len(change(token, {"about": "x" + "\r\n" * 498 + "x"})["about"]) == 500


def test_a_profile_cannot_be_changed_ten_minutes_after_authentication(alice, clock, settings):
    """Withstands a thief with a token."""
    set_up(settings, access_token_seconds=3600)
    token = get_tokens()["access"]
    clock.advance(minutes=10, seconds=1)

    refused = change(token, {"display_name": "Mallory"})

    assert (refused.status, refused.code) == (401, "insufficient_user_authentication")
    assert call("me/", token=token)["display_name"] == ""


REFUSED = {
    # NFC doubles the length of the last value.
    "display_name": ("x" * 61, "a\u200bb", "a\nb", "\u3164", 12345, None, "\u0958" * 31),
    "about": ("x" * 501, "a bell \a", "from right \u202e to left", ["a"]),
    "language": ("xx", "DE"),
    "time_zone": ("Europe/Atlantis", "../../etc/passwd", "posixrules", ""),
}


def test_an_invalid_profile_field_changes_nothing(alice, token):
    before = call("me/", token=token).body
    for field, values in REFUSED.items():
        for value in values:
            answer = change(token, {"display_name": "good", "about": "good", field: value})
            assert (answer.status, answer.fields) == (400, [field]), value
    assert call("me/", token=token).body == before


def test_read_only_fields_are_refused_by_name(alice, token):
    """Withstands a hostile client: it sets its own rights.

    No mass assignment (ASVS 15.3.3): such fields are refused instead of silently ignored.
    """
    Group.objects.create(name="printers")
    before = User.objects.values().get(pk=alice.pk)
    foreign = {
        **{"id": NOBODY, "username": "mallory", "email": "mallory@example.org"},
        **{"is_staff": True, "is_superuser": True, "is_active": False, "groups": ["printers"]},
        **{"password": "copper kettle under eight stars", "credential_version": 7},
        "date_joined": "2000-01-01T00:00:00Z",
    }

    answer = change(token, {**foreign, "display_name": "Alice"})

    assert (answer.status, answer.fields) == (400, list(foreign))
    assert User.objects.values().get() == before
    assert list(alice.groups.all()) == []


def pending():
    call("users/", {"username": "dave", "email": "dave@example.org", "password": PASSWORD})
    return PendingSignup.objects.get()


def token_of_carol(scope):
    challenge = get_tokens("carol", scope=scope)["challenge"]
    return str(second_step(challenge, unused_code(User.objects.get(username="carol")))["access"])


def test_staff_who_may_view_users_can_read_an_account_and_the_owner_sees_it(
    alice, token, clock, settings
):
    """Withstands a member of staff."""
    set_up(settings, access_token_seconds=3600)
    carol = make_staff("carol")
    User.objects.filter(pk=carol.pk).update(is_superuser=False)
    carol.user_permissions.add(Permission.objects.get(codename="view_user"))
    carols = token_of_carol("users:read")
    path = f"users/{alice.pk}/"

    own = call("me/", token=token).body
    assert call(path, token=token).body == own
    assert call(path, token=carols).body == own | {"email": "a…@example.org"}
    assert call(f"users/{pending().pk}/", token=carols).status == 404
    seen = Activity.objects.get(kind="profile_read")
    assert (seen.user, seen.actor) == (alice, "carol")
    clock.advance(seconds=30)
    # `read` is not enough: a stolen token of a staff member's program would read all accounts.
    assert call(path, token=token_of_carol("read write")).code == "insufficient_scope"
    clock.advance(minutes=10)
    assert call(path, token=carols).code == "insufficient_user_authentication"


def test_staff_without_the_permission_to_view_users_get_404(alice):
    """A right to act on users does not include it."""
    carol = make_staff("carol")
    User.objects.filter(pk=carol.pk).update(is_superuser=False)
    carol.user_permissions.add(Permission.objects.get(codename="help_user"))

    assert call(f"users/{alice.pk}/", token=token_of_carol("users:read")).status == 404
    assert not Activity.objects.filter(kind="profile_read").exists()


def test_reads_of_accounts_by_staff_are_limited(alice):
    make_staff("carol")
    token = token_of_carol("users:read")
    codes = [call(f"users/{NOBODY}/", token=token).code for _ in range(61)]
    assert codes == ["not_found"] * 60 + ["throttled"]


def test_a_token_from_before_somebody_became_staff_reads_no_other_account(alice):
    """Withstands a member of staff.

    The token comes from a sign-in in one step; the admin would ask for the second factor.
    """
    bob = make_user("bob")
    held = get_tokens("bob")["access"]
    User.objects.filter(pk=bob.pk).update(is_staff=True, is_superuser=True)

    assert call(f"users/{bob.pk}/", token=held).status == 200
    assert call(f"users/{alice.pk}/", token=held).status == 404


def test_other_pending_and_unknown_accounts_give_the_same_404(alice, token):
    """Withstands another member."""
    unseen = (make_user("bob").pk, pending().pk, NOBODY)

    answers = [call(f"users/{pk}/", token=token) for pk in unseen]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 3
    assert len({str(answer.body) for answer in answers}) == 1
    for pk in (alice.pk, NOBODY):
        answer = call(f"users/{pk}/")
        assert (answer.status, answer.code) == (401, "not_authenticated")
