"""The staff API sends, lists and revokes invitations, by the rules of the pages."""

import pytest

from accounts.invitations.models import Invitation
from tests.support.administration import member, staff_token
from tests.support.api import call
from tests.support.second_factor import enrolled
from tests.support.steps import address_of

pytestmark = pytest.mark.django_db

INVITATIONS = "admin/invitations/"


def token_of(role, **options):
    enrolled(member(role.lower(), role))
    return staff_token(role.lower(), **options)


def invite(token, name="dave", **fields):
    return call(INVITATIONS, {"email": address_of(name)} | fields, token=token)


def revoke(token, id):
    return call(f"{INVITATIONS}{id}/", method="DELETE", token=token)


def test_a_manager_invites_lists_and_revokes():
    token = token_of("Manager")

    answer = invite(token, days=3, groups=["Support"])

    row = Invitation.objects.get()
    assert (answer.status, answer["id"], answer["groups"]) == (201, str(row.pk), ["Support"])
    assert (row.expires_at - row.created_at).days == 3
    assert call(INVITATIONS, token=token)["results"] == [answer.body]
    assert [revoke(token, row.pk).status for _ in range(2)] == [204, 404]
    assert call(INVITATIONS, token=token)["count"] == 0


def test_rights_and_groups_beyond_the_inviters_own_are_refused():
    token = token_of("Manager")

    assert (answer := invite(token, is_staff=True)).status == 403
    assert answer.code == "not_in_role"
    for groups in (["Nobody"], "Support", [7], [["Support"]]):
        refused = invite(token, groups=groups)
        assert (refused.status, refused.body.keys()) == (400, {"groups"}), groups
    for days in (0, 31, "x"):
        assert invite(token, days=days).status == 400
    assert not Invitation.objects.exists()


def test_roles_that_may_not_invite_and_tokens_that_may_only_read_are_refused():
    token = token_of("Support")
    invite(token_of("Manager"))
    id = Invitation.objects.get().pk

    for answer in (call(INVITATIONS, token=token), invite(token, "erin"), revoke(token, id)):
        assert (answer.status, answer.code) == (403, "not_in_role")
    reads = staff_token("manager", scope="admin:read")
    assert call(INVITATIONS, token=reads).status == 200
    for answer in (invite(reads, "erin"), revoke(reads, id)):
        assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert Invitation.objects.get().pk == id
