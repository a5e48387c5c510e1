"""What the staff API shows of a person, as the page about the person does."""

import pytest

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.mail.models import MailReceipt
from accounts.mail.services import deliver_due
from accounts.throttle.limits import STAFF, STAFF_READ
from accounts.throttle.services import hit
from accounts.users.models import Identity, User
from tests.support.administration import (
    ADDRESSES,
    REASON,
    alice_with_addresses,
    carols_key,
    member,
    staff_token,
)
from tests.support.api import API, call, get_tokens
from tests.support.api_keys import key_of
from tests.support.second_factor import enrolled
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


def token_of(role, username="carol"):
    enrolled(member(username, role))
    return staff_token(username)


@pytest.mark.parametrize("role, is_whole", [("Support", True), ("Auditor", False)])
def test_details_are_what_the_person_has_and_auditors_see_short_addresses(role, is_whole):
    alice = alice_with_addresses()
    get_tokens()
    enrolled(alice)
    key_of(alice)
    Identity.objects.create(
        user=alice, issuer="https://accounts.google.com", subject="1", label=ADDRESSES[1]
    )
    deliver_due()
    alice.emails.get(email=ADDRESSES[1]).delete()

    shown = call(f"admin/users/{alice.pk}/details/", token=token_of(role))

    assert [row["kind"] for row in shown["sessions"]] == ["api"]
    assert [row["name"] for row in shown["keys"]] == ["bot"]
    assert [len(shown[name]) for name in ("authenticators", "passkeys", "apps")] == [1, 0, 0]
    assert [row["account"] for row in shown["providers"]] == [
        ADDRESSES[1] if is_whole else "s…@work.example"
    ]
    headings = {row["heading"] for row in shown["mails"]}
    assert headings <= set(MailReceipt.objects.values_list("heading", flat=True))
    assert ("Confirm your email address" in headings) is is_whole
    assert (ADDRESSES[1] in str(shown.body)) is is_whole


@pytest.mark.parametrize("role, is_whole", [("Support", True), ("Auditor", False)])
def test_the_history_of_a_person_names_the_staff_and_auditors_see_short_addresses(role, is_whole):
    alice, dave = alice_with_addresses(), make_user("dave")
    for _ in range(60):
        record(alice, events.PROFILE_CHANGED, Actor().as_staff(dave, REASON), mail=False)

    url, token, rows = f"admin/users/{alice.pk}/activity/?after=", token_of(role), []
    while url:
        answer = call(url, token=token)
        rows += answer["results"]
        url = (answer["next"] or "").partition(API)[2]

    assert len(rows) == alice.activity.count()
    changed = [row for row in rows if row["kind"] == "profile_changed"]
    assert {(row["actor"], row["actor_id"], row["reason"]) for row in changed} == {
        ("dave", str(dave.pk), REASON)
    }
    assert (ADDRESSES[1] in str(rows)) is is_whole
    assert ("s…@work.example" in str(rows)) is not is_whole


@pytest.mark.parametrize("part", ["", "details/", "activity/"])
def test_each_look_is_recorded_and_counted(part, clock):
    alice, token = make_user("alice"), token_of("Support")
    carol, path = User.objects.get(username="carol"), f"admin/users/{alice.pk}/{part}"
    for budget in (STAFF_READ.of(carol.pk), STAFF.of("read", carol.pk)):
        hit(budget._replace(cost=budget.depth - budget.cost))

        assert [call(path, token=token).status for _ in range(2)] == [200, 429]
        clock.advance(minutes=1)
        token = staff_token("carol")

    assert alice.activity.get(kind="page_opened").actor == "carol"


def test_a_key_reads_details_as_its_owner_may_and_nothing_of_nobody():
    alice, key = make_user("alice"), carols_key("read")

    assert call(f"admin/users/{alice.pk}/details/", token=key).status == 200
    for part in ("details", "activity"):
        nobody = f"admin/users/8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10/{part}/"
        assert call(nobody, token=key).short == (404, "not_found")
