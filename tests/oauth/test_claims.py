"""``updated_at``: when something last changed of what apps are told about a person."""

import pytest
from django.contrib.auth.models import Group

from accounts.activity.services import Actor
from accounts.emails import services as emails
from accounts.oauth.id_tokens import claims_of
from accounts.profile import services as profiles
from accounts.users import services as users
from accounts.users.models import User
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user, sign_in

pytestmark = pytest.mark.django_db

ACTOR = Actor()
SECOND = "alice@work.example"


@pytest.fixture
def alice(db):
    user = make_user("alice")
    users.confirm_email(user, SECOND)
    return user


def as_now(user):
    return User.objects.get(pk=user.pk)


def updated_at(user):
    """Return the claim, as an app gets it with the scope ``profile``."""
    told: int = claims_of(as_now(user), ["profile"])["updated_at"]
    return told


def make_primary(user, email):
    emails.make_primary(user, user.emails.get(email=email).pk, ACTOR)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: profiles.rename(user, "alicia", ACTOR),
        lambda user: profiles.save(user, {"display_name": "Alice"}, ACTOR),
        lambda user: profiles.save(user, {"language": "de"}, ACTOR),
        lambda user: profiles.save(user, {"time_zone": "Europe/Berlin"}, ACTOR),
        lambda user: make_primary(user, SECOND),
    ],
    ids=["username", "display name", "language", "time zone", "primary email address"],
)
def test_the_claim_moves_with_what_apps_are_told(clock, alice, change):
    before = updated_at(alice)
    clock.advance(minutes=1)

    change(as_now(alice))

    assert updated_at(alice) == before + 60


def test_the_claim_moves_with_the_groups(clock, alice, client):
    carol = signed_in(make_staff("carol"), client)
    editors, before = Group.objects.create(name="Editors"), updated_at(alice)
    group = f"/admin/auth/group/{editors.pk}"
    acts = (
        (f"/admin/accounts/user/{alice.pk}/change/", {"groups": editors.pk}),
        (f"{group}/change/", {"name": "Writers"}),
        (f"{group}/delete/", {"post": "yes"}),
    )

    for minutes, (page, form) in enumerate(acts, 1):
        clock.advance(minutes=1)
        assert carol.post(page, form).status_code == 302
        assert updated_at(alice) == before + 60 * minutes, page


def test_a_sign_in_and_what_apps_are_not_told_leave_the_claim(clock, alice, client):
    before = updated_at(alice)
    clock.advance(minutes=1)

    assert sign_in(client, "alice").status_code == 302
    profiles.save(as_now(alice), {"about": "I like printers."}, ACTOR)

    assert as_now(alice).last_login == clock.now()
    assert updated_at(alice) == before


def test_a_claim_without_a_value_is_missing(alice):
    User.objects.filter(pk=alice.pk).update(language="", email="")

    found = claims_of(as_now(alice), ["profile", "email"]).keys()
    assert found.isdisjoint({"locale", "email", "email_verified"})
