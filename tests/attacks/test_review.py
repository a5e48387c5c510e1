"""The review after a lock: what the owner can restore, and what nobody else can."""

from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.recovery import suspension
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential, User
from tests.support.clock import Clock
from tests.support.disputes import (
    LOCK,
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    known_browser,
    lock,
    lock_link,
    recipients_of,
    reloaded,
    reopened,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.second_factor import set_up_authenticator
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db


def test_the_review_restores_an_email_that_a_thief_removed(alice: User, clock: Clock) -> None:
    home, kept = known_browser(alice), "kept@example.org"
    users.confirm_email(alice, kept)
    clock.advance(days=8)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"primary": EmailAddress.objects.get(email=kept).pk})
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"remove": EmailAddress.objects.get(email=MINE).pk})
    users.confirm_email(reloaded(alice), THIEFS)
    home.post(lock_link("email address was removed", to=MINE))
    assert not EmailAddress.objects.filter(email=THIEFS).exists()
    home = reopened(home, alice)

    review(home, "keep", MINE)

    assert reloaded(alice).email == kept
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {MINE, kept}
    assert recipients_of("was restored") >= {MINE, kept, THIEFS}
    assert not any(
        MINE in text_of(m) for m in outbox() if m.to == THIEFS and "restored" in m.subject
    )


def test_an_email_that_another_user_has_now_is_not_restored(alice: User, clock: Clock) -> None:
    home = known_browser(alice)
    clock.advance(days=8)
    users.confirm_email(alice, "shared@example.org")
    lock(alice)
    users.confirm_email(make_user("bob"), "shared@example.org")
    home = reopened(home, alice)

    assert (
        "can’t be restored"
        in home.post(
            REVIEW, {"keep": str(FormerCredential.objects.get(kind="email").pk)}, follow=True
        ).text
    )

    assert EmailAddress.objects.get(email="shared@example.org").user.username == "bob"


def test_only_the_owner_can_restore_a_suspended_credential(alice: User, clock: Clock) -> None:
    home = known_browser(alice)
    clock.advance(days=8)
    set_up_authenticator(signed_in(alice), name="Tablet")
    lock(alice)
    link = reset_link()
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label="Tablet")

    clock.advance(days=40)
    assert FormerCredential.objects.filter(pk=row.pk).exists()
    mallory = signed_in(make_user("mallory"))
    for act in ("keep", "delete", "keep_identity", "delete_identity"):
        assert mallory.post(REVIEW, {act: str(row.pk)}).status_code == 404
        assert mallory.post(REVIEW, {act: "9" * 400}).status_code == 404
    assert not Authenticator.objects.exists()

    owner = signed_in(reloaded(alice))
    other = signed_in(reloaded(alice))
    review(owner, "keep", "Tablet")
    assert Authenticator.objects.get().name == "Tablet"
    assert [is_signed_in(owner), is_signed_in(other)] == [True, False]


def test_suspended_emails_are_recorded_in_the_history_and_named_in_no_other_mail(
    alice: User, clock: Clock
) -> None:
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/password/change/", {"password1": NEW})
    thief.post(LOCK)

    kinds = Activity.objects.filter(kind="suspended").values_list("detail", flat=True)
    assert list(kinds) == [THIEFS]
    assert recipients_of("Your account was locked") == {MINE, THIEFS}
    assert not any(THIEFS in text_of(m) for m in outbox() if m.to == MINE)
    thiefs = [m for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(m.action_url)).status_code for m in thiefs} == {404}


@pytest.mark.parametrize("act", [suspension.put_back, suspension.delete, suspension.finish])
def test_a_review_during_a_change_of_the_account_fails_without_effect(
    alice: User, clock: Clock, act: Any
) -> None:
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    lock(alice)
    as_read = reloaded(alice)
    users.void_proofs_and_links(alice)
    row = FormerCredential.objects.get(kind="email").pk

    with pytest.raises(users.AccountChanged):
        act(as_read, *([] if act is suspension.finish else [row]), Actor())
    assert FormerCredential.objects.filter(pk=row).exists()
    assert reloaded(alice).disputed_at
