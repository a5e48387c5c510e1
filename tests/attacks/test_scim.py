"""Attacks by a directory that goes too far, and by whoever has no valid token of one."""

import json
import random
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import serializers
from django.test import Client

from accounts.activity.models import Activity
from accounts.common.secrets import SCIM_TOKEN
from accounts.scim import services, views
from accounts.scim.models import Directory
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit, of_person
from accounts.users.emails import key
from accounts.users.models import EmailAddress, User
from accounts.users.services import is_email_verified
from tests.support.administration import desk
from tests.support.api import call, get_tokens
from tests.support.api_keys import key_of
from tests.support.disputes import RESET
from tests.support.registration import new_token
from tests.support.scim import ACTOR, Scim, person
from tests.support.signin import signed_in
from tests.support.steps import CODE, address_of, make_staff, make_user, outbox


@pytest.fixture
def okta():
    return Scim()


def with_token(text, path="Users"):
    return Client().get(f"/scim/v2/{path}", headers={"Authorization": f"Bearer {text}"})


def test_only_the_whole_valid_token_of_a_directory_is_accepted(okta, clock):
    """Withstands a malicious directory."""
    bob = make_user("bob")
    token, digest = okta.token, Directory.objects.get().digest
    others = (key_of(bob), get_tokens("bob")["access"], new_token(), SCIM_TOKEN.make().text)
    for text in (*others, digest, token[:-1], token.upper(), f"{token}x", "", "\x7f"):
        assert with_token(text).status_code == 401, text
    assert token[30:] not in serializers.serialize("json", Directory.objects.all())
    assert call("me/", token=token).status == 401
    assert signed_in(make_staff("carol")).get("/scim/v2/Users").status_code == 401
    assert Client().get(f"/scim/v2/Users?access_token={token}").status_code == 400
    assert with_token(token).status_code == 200


def test_a_former_token_ends_after_a_week_or_at_once_and_every_token_when_disabled(okta, clock):
    """Withstands a malicious directory."""
    first, second = okta.token, services.rotate(okta.directory, ACTOR)
    assert [with_token(text).status_code for text in (first, second)] == [200, 200]
    clock.advance(days=7)
    assert [with_token(text).status_code for text in (first, second)] == [401, 200]
    third = services.rotate(okta.directory, ACTOR, now=True)
    assert [with_token(text).status_code for text in (second, third)] == [401, 200]
    services.set_enabled(okta.directory, ACTOR, enabled=False)
    assert with_token(third).status_code == 401
    services.set_enabled(okta.directory, ACTOR, enabled=True)
    Directory.objects.update(expires_at=clock.now() + timedelta(days=1))
    assert with_token(third).status_code == 200
    clock.advance(days=1)
    assert with_token(third).status_code == 401


def test_a_directory_sends_a_limited_number_of_requests(okta, monkeypatch):
    """Withstands a malicious directory."""
    monkeypatch.setattr(views, "OF_DIRECTORIES", 1)
    for _ in range(STAFF.burst):
        hit(STAFF.times(1).of("directory", okta.directory.pk))

    refused = okta.get("Users")

    assert (refused.status, "Retry-After" in refused.headers) == (429, True)
    assert Scim("Entra").get("Users").status == 200


def give_rights(user, how):
    right = Permission.objects.get(codename="view_user")
    match how:
        case "staff" | "superuser":
            User.objects.filter(pk=user.pk).update(**{f"is_{how}": True})
        case "right":
            user.user_permissions.add(right)
        case "group":
            user.groups.add(Group.objects.create(name="viewers"))
            Group.objects.get(name="viewers").permissions.add(right)


@pytest.mark.parametrize("how", ["staff", "superuser", "right", "group"])
def test_whoever_has_rights_is_out_of_reach_and_looks_like_nobody(okta, how):
    """Withstands a malicious directory."""
    id = okta.add("alice")
    group = okta.call("POST", "Groups", {"displayName": "Wiki", "members": [{"value": id}]})["id"]
    give_rights(User.objects.get(pk=id), how)
    before = serializers.serialize("json", User.objects.filter(pk=id))
    nobody = "0198b7a0-0000-4000-8000-000000000000"

    assert okta.get(f"Users/{id}").body == okta.get(f"Users/{nobody}").body
    assert okta.set(id, active=False).status == okta.call("DELETE", f"Users/{id}").status == 404
    assert okta.call("PUT", f"Users/{id}", person()).status == 404
    assert okta.get("Users")["totalResults"] == 0
    assert okta.get('Users?filter=userName eq "alice"')["totalResults"] == 0
    assert okta.get(f'Groups?filter=members eq "{id}"')["totalResults"] == 0
    okta.call("PUT", f"Groups/{group}", {"displayName": "Wiki", "members": []})
    add = {"op": "add", "path": "members", "value": [{"value": id}]}
    assert okta.patch(f"Groups/{group}", add).kind == "invalidValue"
    assert User.objects.get(pk=id).groups.filter(name="Wiki").exists()
    assert serializers.serialize("json", User.objects.filter(pk=id)) == before


def test_people_whom_it_does_not_manage_cannot_be_seen_adopted_or_changed(okta):
    """Withstands a malicious directory."""
    bob, erin = make_user("bob"), Scim("Entra").add("erin")
    before = serializers.serialize("json", [*User.objects.all(), *EmailAddress.objects.all()])

    for id in (bob.pk, erin):
        assert okta.get(f"Users/{id}").status == okta.set(id, active=False).status == 404
    for taken in (
        person("bob", emails=[{"value": "new@example.com"}]),
        person("B0B", emails=[{"value": "new@example.com"}]),
        person("new", emails=[{"value": "BOB@example.org"}]),
        person("bob@example.org", emails=[]),
    ):
        refused = okta.call("POST", "Users", taken)
        assert (refused.status, refused.kind) == (409, "uniqueness"), taken
    assert (
        serializers.serialize("json", [*User.objects.all(), *EmailAddress.objects.all()]) == before
    )


def test_a_changed_address_leads_into_no_account_of_others(okta):
    """Withstands a malicious directory."""
    id, bob = okta.add("alice"), make_user("bob")

    taken = okta.set(id, emails=[{"value": address_of("bob")}], displayName="Boss")

    assert (taken.status, taken.kind) == (409, "uniqueness")
    assert User.objects.get(pk=id).email == "alice@example.org"
    assert User.objects.get(pk=id).display_name == ""
    okta.set(id, emails=[{"value": "mallory@example.com"}])
    Client().post(RESET, {"login": "mallory@example.com"})
    Client().post(RESET, {"login": "bob"})
    greetings = {mail.greeting for mail in outbox() if mail.to == "mallory@example.com"}
    assert not any("bob" in text for text in greetings)
    assert [*bob.emails.values_list("email", flat=True)] == [address_of("bob")]


def test_a_mailbox_that_has_refused_the_account_is_not_asked_again(okta):
    """Withstands a malicious directory."""
    id = okta.add("alice")
    okta.set(id, emails=[{"value": "alice@example.com"}])
    link = next(mail.action_url for mail in outbox() if "refuse" in mail.action_url)
    Client().post(link.partition("localhost:8000")[2] or link)
    assert not EmailAddress.objects.filter(email="alice@example.com").exists()
    count = len(outbox())

    again = okta.set(id, emails=[{"value": "alice@example.com"}], active=False)

    assert (again.status, again["active"]) == (200, False)
    assert "emails" not in again.body
    assert not any(mail.to == "alice@example.com" for mail in outbox()[count:])


def test_an_address_is_unproven_even_if_its_mailbox_gets_no_more_emails(okta):
    """Withstands a malicious directory."""
    id, address = okta.add("alice"), "carol@example.com"
    while hit(silent=of_person(id, key(address))[1:]):
        pass

    okta.set(id, emails=[{"value": address}])

    assert User.objects.get(pk=id).email == address
    assert not is_email_verified(User.objects.get(pk=id))


def test_nobody_gets_more_than_an_account_by_what_a_directory_sends(okta):
    """Withstands a malicious directory."""
    more = {"is_staff": True, "isStaff": True, "is_superuser": True, "roles": [{"value": "admin"}]}
    more |= {"groups": [{"value": "1"}], "password": "hunter2", "id": "x", "user_permissions": [1]}
    more |= {"credential_version": 7, "directory": "x", "username": "root"}

    id = okta.add("alice", **more)
    okta.set(id, **{key: value for key, value in more.items() if key not in ("id", "groups")})
    okta.call("PUT", f"Users/{id}", person(**more))

    alice = User.objects.get(pk=id)
    assert [alice.is_privileged, *alice.groups.all(), *alice.user_permissions.all()] == [False]
    assert not alice.has_usable_password()
    assert alice.username == "alice"


def test_reserved_names_and_look_alikes_become_other_usernames_or_are_refused(okta):
    for name in ("admin", "support@example.com", "\u0391dmin", "root"):
        id = okta.add(name, emails=[{"value": f"x{ord(name[0])}{len(name)}@example.net"}])
        assert User.objects.get(pk=id).username not in ("admin", "support", "root")
    okta.add("paypal")
    mail = [{"value": "other@example.net"}]
    assert okta.call("POST", "Users", person("paypaI", emails=mail)).status == 409


def test_a_group_with_rights_is_never_reached_not_even_by_its_name(okta):
    """Withstands a malicious directory."""
    managers = Group.objects.get(name="Manager")
    id = okta.call("POST", "Groups", {"displayName": "Wiki"})["id"]
    # A proxy cuts off the spaces of a header, and some apps ignore case.
    for name in ("Manager", "manager", "Manager ", "\u3000Manager"):
        taken = okta.call("POST", "Groups", {"displayName": name})
        rename = {"op": "replace", "path": "displayName", "value": name}
        assert (taken.status, taken.kind) == (409, "uniqueness"), name
        assert okta.patch(f"Groups/{id}", rename).status == 409, name
    mine = Group.objects.get(name="Wiki")
    mine.permissions.set(managers.permissions.all())

    member = {"op": "add", "path": "members", "value": [{"value": okta.add("alice")}]}
    assert okta.patch(f"Groups/{id}", member).status == okta.get(f"Groups/{id}").status == 404
    assert okta.call("DELETE", f"Groups/{id}").status == 404
    assert okta.get("Groups")["totalResults"] == 0
    assert not mine.user_set.exists()


def test_a_deactivated_person_cannot_come_back_by_the_mailbox(okta):
    """Withstands a malicious directory."""
    id = okta.add("alice")
    okta.call("DELETE", f"Users/{id}")

    browser = Client()
    browser.post(CODE, {"login": "alice@example.org"})
    undo = next(mail.action_url for mail in outbox() if "undo" in mail.action_url)
    browser.post(undo[undo.index("/accounts/") :])

    alice = User.objects.get(pk=id)
    assert alice.deletion_due is None
    assert not alice.is_active


FILTERS = (
    *('userName eq "a" or 1=1', "userName eq 'a'", 'userName eq "a\' OR 1=1 --"', ""),
    *('user__password eq "a"', 'user.password eq "x"', 'emails[value eq "a].value eq "b"'),
    *('userName eq "\\ud800"', 'userName eq "\\u0000"', 'emails.value eq "@"', "id eq true"),
    *('members eq "' + "x" * 5000 + '"', "(" * 900, "userName eq " + '"\\' * 400),
)
DEEP = b'{"schemas":[],"userName":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
BODIES = (
    *(b"", b"\0", b"[]", b"null", b"1e999", b'"\\ud800"', b"\xff", b"9" * 5000),
    *(b"[" * 60_000, DEEP),
    *(b'{"userName": "\\u0000", "emails": [{"value": "a@b.c"}]}', b"x" * 70_000),
    b'{"userName": "\\ud800", "emails": [{"value": "a@b.c"}], "externalId": "\\ud800"}',
)
VALUES = (
    *(None, True, 0, 1e300, "", "\0", "\ud800", "x" * 5000, "alice", "False", [], {}, [None]),
    *([{"value": "x"}], [{"value": {}}], {"givenName": 7}, {"value": []}, [[1]], {"a": {"b": {}}}),
)
PATHS = (
    *("userName", "active", "emails", "members", "name", "name.givenName", "displayName", "id"),
    *("", "meta", "schemas", "emails[", "emails[]", 'emails[type eq "work"]', "a.b.c", "urn:x:y"),
    *('emails[type eq "work"].value', 'members[value eq "x"]', "name.x", "urn:", "members.value"),
    *("externalId", "password", "\0", "x" * 2000, 'emails[a eq "b" and a eq "c"].value', "$ref"),
)


def test_no_filter_path_value_or_body_causes_a_server_error(okta):
    """Withstands a malicious directory.

    The client of Django's tests raises whatever a view does not handle.
    """
    id, rng = okta.add("alice"), random.Random(7)  # noqa: S311 the same sequence each time
    group = okta.call("POST", "Groups", {"displayName": "Wiki"})["id"]
    items = (f"Users/{id}", f"Groups/{group}")
    for text in FILTERS:
        for kind in ("Users", "Groups"):
            answer = with_token(okta.token, f"{kind}?{urlencode({'filter': text})}")
            assert answer.status_code in (200, 400), text
    for body in BODIES:
        assert okta.call("POST", "Users", body).status in (400, 413), body[:40]
        assert okta.call("PATCH", items[0], body).status in (400, 413), body[:40]
    for _ in range(150):
        operation = {
            "op": rng.choice(("add", "Replace", "remove", 7)),
            "path": rng.choice(PATHS),
            "value": rng.choice(VALUES),
        }
        operation.pop(rng.choice(("op", "path", "path", "value", "")), None)
        path = rng.choice(items)
        assert okta.patch(path, operation).status in (200, 400, 409), operation
        whole = {rng.choice(PATHS): rng.choice(VALUES) for _ in range(3)}
        assert okta.call("PUT", path, whole).status in (200, 400, 409), whole
    assert json.dumps(okta.get(items[0]).body)


def test_nobody_is_created_without_an_address_or_with_a_name_that_no_column_holds(okta):
    body = {"userName": "alice@example.org", "emails": [], "Emails": []}
    assert okta.call("POST", "Users", body)["emails"][0]["value"] == "alice@example.org"
    # PostgreSQL stores no text that is longer than its column.
    long = okta.call("POST", "Users", person("\ufdfa" * 254, emails=[{"value": "b@example.org"}]))
    assert (long.status, long.kind) == (400, "invalidValue")


def test_an_event_names_the_directory_and_never_a_member_of_staff(okta):
    """Withstands a malicious directory."""
    make_staff("okta")
    okta.set(okta.add("alice"), active=False)

    rows = Activity.objects.filter(kind="switched_off")
    assert [(row.actor, row.actor_id) for row in rows] == [("@scim Okta", None)]
    page = desk("Auditor").get(f"/admin/accounts/user/{rows[0].user_id}/change/").text
    assert "By Okta" in page
