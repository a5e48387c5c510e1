"""Skeletons reserve what usernames look like; existing lookalikes are kept and reported."""

import json
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.users import services as users
from accounts.users import usernames
from accounts.users.models import NameSkeleton, PendingSignup, User, Username
from accounts.users.skeletons import Check
from tests.support.clock import Clock
from tests.support.steps import CONFIRM, PASSWORD, make_user, sign_in, sign_up

pytestmark = pytest.mark.django_db


def make_existing(*given: str) -> None:
    """Create users as before skeletons existed, when usernames could look alike."""
    for name in given:
        Username.objects.create(key=usernames.key(name))
        users.create_user(name, make_password(PASSWORD))


def is_free(name: str) -> bool:
    try:
        users.take_username(name, until=None)
    except users.UsernameTaken:
        return False
    return True


def skeletons() -> dict[str, str | None]:
    return dict(NameSkeleton.objects.values_list("skeleton", "name"))


def test_a_skeleton_is_free_again_with_its_username(clock: Clock) -> None:
    sign_up(Client(), "paypal")
    assert not is_free("paypaI")
    clock.advance(days=3)
    assert sign_up(Client(), "paypaI", "new@example.org").url == CONFIRM
    assert not PendingSignup.objects.filter(username="paypal").exists()

    with connection.cursor() as cursor:
        # Without Django, which would delete the skeletons itself.
        cursor.execute("DELETE FROM accounts_username")
    assert skeletons() == {}


def test_a_username_in_another_case_may_not_look_like_another_username() -> None:
    make_user("paypal")
    mallory, bob = make_user("paypai"), make_user("bobl")

    with pytest.raises(users.UsernameTaken):
        users.rename(mallory, "paypaI")
    assert users.rename(bob, "bob1").username == "bob1", "bob's own username does not count"
    assert skeletons()["bobl"] == "bob1"


def test_existing_lookalikes_keep_their_usernames_sign_in_and_are_reported() -> None:
    make_user("carol")
    make_existing("Al\ufe0fice", "alice", "admin")
    Username.objects.create(key="al1ce")

    answer = StringIO()
    call_command("check_usernames", "--json", stdout=answer)
    found = json.loads(answer.getvalue())

    assert found["names"] == 5
    assert found["twins"] == [["alice", "Al\ufe0fice"]]
    assert [row["code"] for row in found["not_allowed"]] == ["invisible", "reserved"]
    assert skeletons() == {"alice": None, "allce": "al1ce", "adrnin": "admin", "carol": "carol"}
    assert sign_in(Client(), "AL\ufe0fICE").status_code == 302
    call_command("check_usernames", stdout=(lines := StringIO()))
    assert "Look alike: alice, Al\ufe0fice (Al\\ufe0fice)" in lines.getvalue()


def test_the_skeleton_of_existing_lookalikes_is_held_while_one_of_them_is_left() -> None:
    make_existing("paypal", "paypaI")
    Check().run()
    mallory = User.objects.get(username="paypaI")
    users.rename(mallory, "PaypaI")
    users.rename(mallory, "mallory")
    Username.objects.filter(key="paypai").delete()

    assert not is_free("paypa1")
    assert Check().run().twins == set()
    assert skeletons() == {"paypal": "paypal", "rnallory": "mallory"}


def test_a_check_brings_every_skeleton_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update of the Unicode tables."""
    make_existing("bob", "dave", "zoe")
    # With older tables zoe had the skeleton of bob, who is checked first.
    NameSkeleton.objects.create(skeleton="bob", name_id="zoe")
    monkeypatch.setattr("accounts.users.skeletons.BATCH", 1)

    assert Check().run().twins == set()

    assert skeletons() == {"bob": "bob", "dave": "dave", "zoe": "zoe"}
