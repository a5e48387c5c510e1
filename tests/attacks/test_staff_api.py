"""Attacks on the staff API: old or weak tokens, API keys, accounts with more rights."""

from typing import Any

import pytest
from django.test import Client

from accounts.administration.acts import API_ACTS
from accounts.users.models import User
from tests.support.administration import REASON, member, staff_token
from tests.support.api import Answer, call, get_tokens
from tests.support.api_keys import key_of
from tests.support.api_steps import status_and_code
from tests.support.clock import Clock
from tests.support.second_factor import enrolled
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user, outbox, sign_up

pytestmark = pytest.mark.django_db

BODY = {"reason": REASON}
TOO_WEAK = (401, "insufficient_user_authentication")


def staff(role: str = "Support", username: str = "carol", **options: str) -> str:
    """Return a token of a new member of staff with ``role``."""
    enrolled(member(username, role))
    return staff_token(username, **options)


def act(token: str, user: Any, name: str, **fields: Any) -> Answer:
    return call(f"admin/users/{user.pk}/{name}/", BODY | fields, token=token)


def calls(token: str, user: Any) -> list[Answer]:
    path = f"admin/users/{user.pk}/"
    return [
        call("admin/users/", token=token),
        call(path, token=token),
        act(token, user, "deactivate"),
    ]


def test_the_staff_api_needs_a_second_factor_of_the_last_ten_minutes(clock: Clock) -> None:
    alice, token = make_user("alice"), staff()
    clock.advance(minutes=4, seconds=59)
    assert call("admin/users/", token=token).status == 200
    clock.advance(minutes=5, seconds=2)

    again = staff_token("carol")
    clock.advance(minutes=4, seconds=59)
    assert call("admin/users/", token=again).status == 200
    assert User.objects.get(pk=alice.pk).is_active


def test_an_old_second_factor_or_none_opens_no_call(clock: Clock, settings: Any) -> None:
    set_up(settings, second_factor="off")
    alice = make_user("alice")
    member("dave", "Support")
    one_step = get_tokens("dave", scope="admin:read admin:write")["access"]
    assert {status_and_code(answer) for answer in calls(one_step, alice)} == {TOO_WEAK}

    set_up(settings, access_token_seconds=3600)
    token = staff()
    clock.advance(minutes=10, seconds=1)
    assert {status_and_code(answer) for answer in calls(token, alice)} == {TOO_WEAK}
    assert User.objects.get(pk=alice.pk).is_active


def test_api_keys_of_staff_open_no_call() -> None:
    alice, carol = make_user("alice"), member("carol", "Superuser")

    for scope in ("read write", "admin:read admin:write"):
        key = key_of(carol, scope)
        assert {status_and_code(answer) for answer in calls(key, alice)} == {TOO_WEAK}


def test_each_call_needs_its_scope_and_read_and_write_do_not_include_it() -> None:
    alice = make_user("alice")
    enrolled(member("carol", "Support"))

    for scope, opened in (("read write users:read", []), ("admin:read", [200, 200])):
        answers = calls(staff_token("carol", scope), alice)
        assert [answer.status for answer in answers if answer.status == 200] == opened
        assert status_and_code(answers[-1]) == (403, "insufficient_scope")
    assert User.objects.get(pk=alice.pk).is_active


def test_people_without_a_role_and_auditors_cannot_act() -> None:
    alice, mallory = make_user("alice"), make_user("mallory")
    enrolled(mallory)

    for answer in calls(staff_token("mallory"), alice):
        assert status_and_code(answer) == (403, "not_in_role")
    read, shown, acted = calls(staff("Auditor"), alice)
    assert (read.status, shown.status, shown["acts"]) == (200, 200, [])
    assert status_and_code(acted) == (403, "not_in_role")


def test_the_staff_api_cannot_act_on_staff_with_more_rights() -> None:
    token = staff()
    targets = [User.objects.get(username="carol"), member("helper", "Auditor")]

    for target in [*targets, member("owner", "Superuser")]:
        for name in API_ACTS:
            assert status_and_code(act(token, target, name)) == (403, "not_allowed_on_staff")


@pytest.mark.parametrize(
    "fields",
    [{"reason": ""}, {"reason": " "}, {"reason": "a" * 501}, {"reason": None}, {"reason": 5},
     {"target": "x"}, {"mode": "later"}, {"mode": "wait"}, {"force": True}],
    ids=str,
)  # fmt: skip
def test_a_malformed_act_is_refused_by_the_name_of_its_field(fields: dict[str, Any]) -> None:
    alice, token = make_user("alice"), staff()

    answer = act(token, alice, "deactivate", **fields)

    assert (answer.status, list(answer.body)) == (400, list(fields))
    assert User.objects.get(pk=alice.pk).is_active
    assert call(f"admin/users/{alice.pk}/deactivate/", {}, token=token).status == 400


def test_the_second_call_of_two_is_told_that_nothing_is_left_to_do() -> None:
    alice, token = make_user("alice"), staff()

    assert act(token, alice, "deactivate")["is_active"] is False
    assert status_and_code(act(token, alice, "deactivate")) == (409, "already_done")


def test_staff_find_and_confirm_a_sign_up_over_the_api() -> None:
    token = staff()
    sign_up(Client(), "bob")
    (found,) = call("admin/users/?q=bob", token=token)["results"]
    assert (found["is_confirmed"], found["is_active"]) == (False, False)

    confirmed = call(f"admin/users/{found['id']}/confirm-address/", BODY, token=token)

    assert (confirmed["is_confirmed"], confirmed["explanation"]) == (True, [])
    assert User.objects.get(username="bob").activity.get(kind="signed_up").reason == REASON


def test_unknown_accounts_acts_and_states_are_errors_of_the_client() -> None:
    alice, token = make_user("alice"), staff()

    assert call("admin/users/?state=happy", token=token).status == 400
    assert act(token, alice, "delete").status == 404
    missing = "00000000-0000-4000-8000-000000000000"
    assert call(f"admin/users/{missing}/", token=token).status == 404
    assert call(f"admin/users/{missing}/deactivate/", BODY, token=token).status == 404


def test_no_answer_of_the_staff_api_contains_a_secret() -> None:
    alice, token = make_user("alice"), staff()
    seed, key, browser = enrolled(alice), key_of(alice), signed_in(alice)
    texts = [str(call(f"admin/users/{alice.pk}/", token=token).body)]
    texts += [str(act(token, alice, "send-reset").body)]
    link = next(mail.action_url for mail in outbox() if "/password/reset/" in mail.action_url)

    secrets = (seed, key, browser.cookies["sessionid"].value, link.split("/")[-2])
    for secret in (*secrets, User.objects.get(pk=alice.pk).password):
        assert not any(secret in text for text in texts)
