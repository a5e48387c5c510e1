"""A directory adds, finds, changes and deactivates people and groups by SCIM.

The sequences are those that Microsoft and Okta document for servers
(learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups,
developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20).
"""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.deletion.models import Erasure
from accounts.oauth.id_tokens import claims_of
from accounts.profile import services as profiles
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User
from tests.support.administration import act, desk
from tests.support.api import call, get_tokens
from tests.support.disputes import RESET
from tests.support.oauth_client import is_live, new_app
from tests.support.scim import CORE, Scim, person
from tests.support.signin import set_up, signed_in
from tests.support.steps import CODE, is_signed_in, outbox

EMAILS = "/accounts/email/"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
def okta():
    return Scim()


def kinds_of(user):
    return [*Activity.objects.filter(user=user).order_by("pk").values_list("kind", flat=True)]


def test_a_new_person_signs_in_by_the_mailbox_which_confirms_the_address(okta):
    id = okta.add("alice@example.org", displayName="Alice", externalId="00u1")

    alice = User.objects.get(pk=id)
    assert (alice.username, alice.given_name, alice.display_name) == ("alice", "Alice", "Alice")
    assert not alice.has_usable_password()
    assert claims_of(alice, {"email"})["email_verified"] is False
    (mail,) = outbox()
    assert (mail.to, mail.subject) == ("alice@example.org", "Your account at authsite")
    assert "Okta has created an account" in mail.paragraphs[0]
    browser = Client()
    browser.post(CODE, {"login": "alice@example.org"})
    browser.post(CODE, {"code": outbox()[-1].code})
    assert is_signed_in(browser)
    assert claims_of(alice, {"email"})["email_verified"] is True
    assert Activity.objects.get(kind="imported").directory == "Okta"
    assert "By Okta" in browser.get("/accounts/activity/").text


def test_a_new_person_of_a_strict_site_sets_a_password_because_no_code_signs_in(okta, settings):
    set_up(settings, strict="on")
    okta.add("alice@example.org")

    (mail,) = outbox()
    assert mail.action_url.endswith(RESET)
    Client().post(RESET, {"login": "alice@example.org"})
    assert outbox()[-1].action_label == "Set a new password"


def test_a_person_reads_as_written(okta):
    id = okta.add("alice@example.org", displayName="Alice", externalId="00u1")

    shown = okta.get(f"Users/{id}")

    meta = shown.body.pop("meta")
    assert shown.body == {
        "schemas": [f"{CORE}User"],
        "id": id,
        "userName": "alice@example.org",
        "externalId": "00u1",
        "displayName": "Alice",
        "name": {"givenName": "Alice", "familyName": "Archer"},
        "emails": [{"value": "alice@example.org", "type": "work"}],
        "active": True,
    }
    assert meta["location"].endswith(f"/scim/v2/Users/{id}")
    assert meta["version"] == shown.headers["ETag"]
    assert okta.get(f"Users/{id}", If_None_Match=meta["version"]).status == 304
    assert set(okta.get(f"Users/{id}?attributes=userName").body) == {"schemas", "id", "userName"}
    few = okta.get(f"Users/{id}?excludedAttributes=name.givenName,emails,id").body
    assert "name" not in few
    assert "emails" not in few
    assert few["id"] == id


def test_people_are_found_by_what_identifies_them_and_listed_in_pages(okta):
    ids = [okta.add(name, externalId=f"x-{name}") for name in ("alice", "bob", "dora")]
    Scim("Entra").add("erin")

    for condition in (
        'userName eq "ALICE"',
        'externalId eq "x-alice"',
        'emails.value eq "Alice@Example.org"',
        'emails[type eq "work"].value Eq "alice@example.org"',
        f'id eq "{ids[0]}" AND username eq "alice"',
    ):
        assert okta.get(f"Users?filter={condition}").names == ["alice"], condition
    assert okta.get('Users?filter=userName eq "erin"')["totalResults"] == 0
    assert okta.get('Users?filter=externalId eq "X-alice"')["totalResults"] == 0
    everyone = okta.get("Users")
    assert everyone.names == ["alice", "bob", "dora"]
    page = okta.get("Users?startIndex=2&count=1")
    assert (page.names, page["totalResults"], page["startIndex"]) == (["bob"], 3, 2)
    assert okta.get("Users?count=0")["totalResults"] == 3
    assert okta.get("Users?startIndex=-5&count=999999999").names == everyone.names
    assert okta.get("Users?startIndex=999999999").names == []


def test_a_list_takes_as_many_queries_for_three_people_as_for_one(okta):
    def queries():
        with CaptureQueriesContext(connection) as found:
            assert okta.get("Users").status == okta.get("Groups").status == 200
        return len(found)

    members = [{"value": okta.add("alice")}]
    okta.call("POST", "Groups", {"displayName": "a", "members": members})
    before = queries()
    members += [{"value": okta.add("bob")}, {"value": okta.add("dora")}]
    for name in ("b", "c"):
        okta.call("POST", "Groups", {"displayName": name, "members": members})

    assert queries() == before


def test_deactivation_ends_browser_api_and_apps_at_once_and_the_directory_undoes_it(okta):
    id = okta.add("alice")
    alice = User.objects.get(pk=id)
    alice.set_password("correct horse battery staple")
    alice.save()
    browser = signed_in(User.objects.get(pk=id))
    granted = new_app().sign_in(LoginSession.objects.get(user=id))
    token = get_tokens("alice", password="correct horse battery staple")["access"]
    assert call("me/", token=token).status == 200
    assert is_live(granted["access_token"])

    assert okta.set(id, active="False")["active"] is False

    assert not is_signed_in(browser)
    assert call("me/", token=token).status == 401
    assert not is_live(granted["access_token"])
    assert not LoginSession.objects.filter(user=id, ended_at=None).exists()
    assert okta.patch(f"Users/{id}", {"op": "Replace", "path": "active", "value": True})["active"]
    assert User.objects.get(pk=id).is_active
    assert kinds_of(id)[-2:] == ["switched_off", "switched_on"]


def test_a_directory_does_not_reactivate_whom_staff_have_deactivated(okta):
    id, carol = okta.add("alice"), desk("Superuser")
    okta.set(id, active=False)
    act(carol, User.objects.get(pk=id), "reactivate")
    act(carol, User.objects.get(pk=id), "deactivate")

    refused = okta.set(id, active=True)

    assert (refused.status, refused.kind) == (403, "mutability")
    assert okta.get(f"Users/{id}")["active"] is False
    assert okta.set(id, active=False, displayName="Al").status == 200


def test_whoever_is_created_inactive_gets_the_invitation_when_activated(okta):
    id = okta.add("alice", active=False)
    assert outbox() == []

    okta.set(id, active=True)

    assert "Your account at authsite" in [mail.subject for mail in outbox()]


def test_deleting_deactivates_and_asks_for_the_deletion(okta):
    id = okta.add("alice")

    assert okta.call("DELETE", f"Users/{id}").status == 204

    alice = User.objects.get(pk=id)
    assert alice.deletion_due
    assert not alice.is_active
    assert okta.get(f"Users/{id}").status == okta.call("DELETE", f"Users/{id}").status == 404
    assert okta.get("Users")["totalResults"] == 0
    assert okta.call("POST", "Users", person()).status == 409
    assert not Erasure.objects.exists()


def test_a_new_address_replaces_the_old_one_which_gets_the_notice(okta):
    id = okta.add("alice")
    work = 'emails[type eq "work"].value'

    answer = okta.patch(
        f"Users/{id}", {"op": "Replace", "path": work, "value": "alice@example.com"}
    )

    assert answer["emails"] == [{"value": "alice@example.com", "type": "work"}]
    alice = User.objects.get(pk=id)
    assert [str(row) for row in alice.emails.all()] == [alice.email] == ["alice@example.com"]
    assert claims_of(alice, {"email"})["email_verified"] is False
    told = {mail.to for mail in outbox() if "primary email address" in mail.subject}
    assert told == {"alice@example.org", "alice@example.com"}
    assert any("refuse" in mail.action_url for mail in outbox())


def test_the_person_cannot_change_what_the_directory_decides(okta):
    id = okta.add("alice")
    browser = signed_in(User.objects.get(pk=id))

    page = browser.get("/accounts/profile/").text

    assert "Okta" in page
    browser.post("/accounts/profile/", {"display_name": "Boss", "about": "Hi", "language": "en"})
    alice = User.objects.get(pk=id)
    assert (alice.display_name, alice.about, alice.given_name) == ("", "Hi", "Alice")
    browser.post("/accounts/profile/", {"username": "boss", "rename": ""})
    assert User.objects.get(pk=id).username == "alice"
    users.confirm_email(alice, "own@example.net")
    own = alice.emails.get(email="own@example.net")
    assert "Make primary" not in browser.get(EMAILS).text
    browser.post(EMAILS, {"primary": own.pk})
    assert User.objects.get(pk=id).email == "alice@example.org"
    with pytest.raises(users.DecidedElsewhere):
        profiles.save(alice, {"family_name": "Boss"}, okta.directory.actor(None))


def test_entra_id_creates_updates_and_disables_a_person(okta):
    """By default, Entra ID sends dotted parts, extensions, and texts for booleans."""
    found = okta.get('Users?filter=externalId eq "58342554"')
    assert found["totalResults"] == 0
    new = {
        "schemas": [f"{CORE}User", ENTERPRISE],
        "externalId": "58342554",
        "userName": "dora@contoso.example",
        "active": True,
        "displayName": "Dora",
        "title": "Engineer",
        "emails": [{"primary": True, "type": "work", "value": "dora@contoso.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Dora Doe", "familyName": "Doe", "givenName": "Dora"},
        "roles": [],
        ENTERPRISE: {"department": "Sales"},
    }
    id = okta.call("POST", "Users", new)["id"]
    changed = okta.patch(
        f"Users/{id}",
        {"op": "Replace", "path": "displayName", "value": "Dora D"},
        {"op": "Add", "path": "name.familyName", "value": "Day"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "IT"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+1 555"},
        {"op": "Add", "value": {"name.givenName": "Dorothea", f"{ENTERPRISE}:manager": "x"}},
        {"op": "Remove", "path": "title"},
    )
    assert changed["displayName"] == "Dora D"
    assert changed["name"] == {"givenName": "Dorothea", "familyName": "Day"}
    off = okta.patch(f"Users/{id}", {"op": "Replace", "path": "active", "value": "False"})
    assert (off.status, off["active"]) == (200, False)

    group = okta.call("POST", "Groups", {"displayName": "Sales", "externalId": "8aa1"})
    path = f"Groups/{group['id']}"
    shown = okta.get(f"{path}?excludedAttributes=members").body
    assert (shown["displayName"], "members" in shown) == ("Sales", False)
    assert okta.get('Groups?excludedAttributes=members&filter=displayName eq "sales"').names
    added = okta.patch(path, {"op": "Add", "path": "members", "value": [{"value": id}]})
    assert [row["value"] for row in added["members"]] == [id]
    member = f'Groups?filter=id eq "{group["id"]}" and members eq "{id}"'
    assert okta.get(member)["totalResults"] == 1
    removed = okta.patch(path, {"op": "Remove", "path": "members", "value": [{"value": id}]})
    assert "members" not in removed.body
    assert okta.call("DELETE", path).status == 204


def test_okta_creates_replaces_and_deactivates_a_person_and_pushes_a_group(okta):
    search = 'Users?filter=userName eq "dora@example.org"&startIndex=1&count=100'
    assert okta.get(search)["totalResults"] == 0
    new = person(
        "dora@example.org", externalId="00u", displayName="Dora", groups=[], locale="en-US"
    )
    made = okta.call("POST", "Users", {**new, "password": "1mz050nq"})
    id = made["id"]
    assert not User.objects.get(pk=id).has_usable_password()
    put = okta.call("PUT", f"Users/{id}", {**made.body, "displayName": "Dora D", "active": True})
    assert (put.status, put["displayName"], put["externalId"]) == (200, "Dora D", "00u")
    assert okta.set(id, active=False)["active"] is False

    members = [{"value": id, "display": "dora@example.org"}]
    group = okta.call("POST", "Groups", {"displayName": "Wiki", "members": members})
    assert okta.get(f"Users/{id}")["groups"][0]["display"] == "Wiki"
    path = f"Groups/{group['id']}"
    renamed = {"op": "replace", "value": {"id": group["id"], "displayName": "Wikis"}}
    assert okta.patch(path, renamed).kind == "mutability"
    renamed["value"].pop("id")
    assert okta.patch(path, renamed)["displayName"] == "Wikis"
    gone = {"op": "remove", "path": f'members[value eq "{id}"]'}
    assert "members" not in okta.patch(path, gone).body
    assert okta.patch(path, gone).kind == "noTarget"


def test_members_whom_the_directory_does_not_manage_stay_and_are_not_shown(okta):
    id = okta.add("alice")
    group = okta.call("POST", "Groups", {"displayName": "Wiki", "members": [{"value": id}]})
    wiki = Group.objects.get(name="Wiki")
    other = User.objects.get(pk=Scim("Entra").add("erin"))
    other.groups.add(wiki)
    path = f"Groups/{group['id']}"

    assert len(okta.get(path)["members"]) == 1
    okta.call("PUT", path, {"displayName": "Wiki", "members": []})

    assert [*wiki.user_set.all()] == [other]
    assert okta.call("DELETE", path).status == 409
    told = Activity.objects.filter(kind=events.RIGHTS_CHANGED.name, user=id)
    assert [row.detail for row in told] == ["Wiki", "Wiki"]


WRONG = {
    "no filter of this kind": ("GET", 'Users?filter=userName co "a"', None, "invalidFilter"),
    "no other attribute": ("GET", 'Users?filter=password eq "a"', None, "invalidFilter"),
    "no or": ("GET", 'Users?filter=id eq "a" or id eq "b"', None, "invalidFilter"),
    "count is a number": ("GET", "Users?count=many", None, "invalidValue"),
    "a body": ("POST", "Users", b"", "invalidSyntax"),
    "JSON": ("POST", "Users", b"{", "invalidSyntax"),
    "an object": ("POST", "Users", ["alice"], "invalidSyntax"),
    "a name": ("POST", "Users", {"emails": [{"value": "a@example.org"}]}, "invalidValue"),
    "an address": ("POST", "Users", {"userName": "alice"}, "invalidValue"),
    "a text": ("POST", "Users", {"userName": 7}, "invalidValue"),
    "no long name": ("POST", "Users", person(displayName="x" * 61), "invalidValue"),
    "a group has a name": ("POST", "Groups", {"members": []}, "invalidValue"),
    "operations": ("PATCH", "Users/{id}", {"Operations": []}, "invalidSyntax"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused_with_its_type(okta, wrong):
    method, path, body, kind = WRONG[wrong]
    answer = okta.call(method, path.format(id=okta.add("dora")), body)

    assert (answer.status, answer.kind) == (400, kind)


OPERATIONS = {
    "a known op": ({"op": "move", "path": "displayName"}, "invalidSyntax"),
    "a path": ({"op": "remove"}, "noTarget"),
    "a path that can be read": ({"op": "add", "path": "name[", "value": ""}, "invalidPath"),
    "no part of a text": ({"op": "add", "path": "userName.x", "value": ""}, "invalidPath"),
    "no id": ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
    "no groups": ({"op": "add", "path": "groups", "value": [{"value": "1"}]}, "mutability"),
    "an item": ({"op": "remove", "path": 'emails[value eq "x@y.org"]'}, "noTarget"),
    "a boolean": ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
    "an object": ({"op": "replace", "value": [1]}, "invalidValue"),
}


@pytest.mark.parametrize("wrong", OPERATIONS)
def test_a_wrong_operation_is_refused_and_changes_nothing(okta, wrong):
    operation, kind = OPERATIONS[wrong]
    id = okta.add("alice")
    before = okta.get(f"Users/{id}").body

    answer = okta.patch(
        f"Users/{id}", {"op": "add", "path": "displayName", "value": "Boss"}, operation
    )

    assert (answer.status, answer.kind) == (400, kind)
    assert okta.get(f"Users/{id}").body == before


def test_if_match_prevents_overwriting(okta):
    id = okta.add("alice")
    stale = okta.get(f"Users/{id}")["meta"]["version"]
    okta.set(id, displayName="Al")

    assert okta.patch(f"Users/{id}", {"op": "remove", "path": "name"}, If_Match=stale).status == 412
    assert okta.call("DELETE", f"Users/{id}", If_Match=stale).status == 412
    assert okta.get(f"Users/{id}")["name"]


def test_the_server_describes_itself(okta):
    config = okta.get("ServiceProviderConfig")
    assert not config["bulk"]["supported"]
    assert config["patch"]["supported"]
    assert okta.get("ResourceTypes")["totalResults"] == okta.get("Schemas")["totalResults"] == 2
    assert okta.get("ResourceTypes?filter=x").status == 403
    assert okta.get("Schemas/x").status == okta.get("nothing").status == 404
    assert okta.call("POST", "Bulk", {"Operations": []}).status == 501
