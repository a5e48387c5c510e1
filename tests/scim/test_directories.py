"""Directories and their tokens: in the admin, by the command and in a settings file."""

import io
import json
import re

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from accounts.administration import known
from accounts.common.secrets import SCIM_TOKEN
from accounts.scim import services
from accounts.scim.models import Directory
from accounts.settingsfile.services import WrongFile, apply
from accounts.users.models import User
from tests.support.administration import REASON, desk
from tests.support.scim import Scim
from tests.support.steps import outbox

LIST = "/admin/scim/directory/"


def tokens_on(page):
    return re.findall(r"authsite_scim_[a-z2-7]{55}", page.text)


def test_staff_make_a_token_which_is_shown_once_and_replaced():
    carol = desk("Superuser")
    form = {"name": "Okta", "reason": REASON}

    page = carol.post(f"{LIST}add/", form)

    (token,) = tokens_on(page)
    assert "http://localhost:8000/scim/v2<" in page.text
    okta = Directory.objects.get()
    assert services.find(token) == okta
    change = f"{LIST}{okta.pk}/change/"
    assert not tokens_on(carol.get(change)) + tokens_on(carol.get(LIST))
    (fresh,) = tokens_on(carol.post(f"{LIST}{okta.pk}/token/", {"reason": REASON}))
    assert [services.find(text) for text in (token, fresh)] == [okta, okta]
    again = carol.post(f"{LIST}{okta.pk}/token/", {"reason": REASON}, follow=True)
    assert "the former one is still valid" in again.text
    assert "Enter a reason" in carol.post(f"{LIST}{okta.pk}/enabled/", follow=True).text
    assert carol.post(change, form | {"name": "Entra"}).status_code == 302
    assert carol.post(f"{LIST}add/", form | {"name": "Entra"}).status_code == 200
    carol.post(f"{LIST}{okta.pk}/enabled/", {"reason": REASON, "enabled": "no"})
    assert services.find(fresh) is None
    carol.post(f"{LIST}{okta.pk}/enabled/", {"reason": REASON, "enabled": "yes"})
    assert services.find(fresh)
    (row,) = [row for row in known.of(User.objects.get(username="carol")) if "scim" in row.url]
    carol.post(row.url, row.fields)
    assert services.find(fresh) is None
    assert any("A directory was added" in mail.subject for mail in outbox())


def test_staff_without_the_right_make_no_token_and_read_who_manages_a_person():
    id, carol = Scim().add("alice"), desk("Manager")

    for path in (LIST, f"{LIST}add/", f"{LIST}{Directory.objects.get().pk}/token/"):
        assert carol.post(path, {"name": "x", "reason": REASON}).status_code in (403, 405), path
    assert "Managed by" in carol.get(f"/admin/accounts/user/{id}/change/").text


def printed(*words):
    output = io.StringIO()
    call_command("scim_token", *words, "--json", stdout=output)
    return json.loads(output.getvalue())


def test_the_command_prints_a_token_and_replaces_it(clock):
    first = printed("Okta", "--days", "30")

    assert first["url"] == "http://localhost:8000/scim/v2"
    second = printed("Okta", "--rotate")["scim_token"]
    assert services.find(first["scim_token"]) == services.find(second)
    third = printed("Okta", "--rotate", "--now")["scim_token"]
    assert services.find(second) is None
    clock.advance(days=30)
    assert services.find(third) is None
    for words in (("Okta",), ("Entra", "--rotate"), ("x" * 31,), ("Entra", "--days", "9" * 12)):
        with pytest.raises(CommandError):
            printed(*words)


def test_a_settings_file_makes_a_token_once_and_replaces_it(monkeypatch):
    first, second = (SCIM_TOKEN.make().text for _ in range(2))
    text = '[directories.Okta]\ntoken = "env:OKTA_TOKEN"\n'
    monkeypatch.setenv("OKTA_TOKEN", first)
    apply(text)
    assert apply(text) == []
    okta = Directory.objects.get()
    monkeypatch.setenv("OKTA_TOKEN", second)
    assert [change.item for change in apply(text)] == ["directories.Okta"]
    assert services.find(first) == services.find(second) == okta

    monkeypatch.setenv("OKTA_TOKEN", first)
    assert apply(text) == [], "the former token does not come back"

    monkeypatch.setenv("OKTA_TOKEN", "guessable")
    with pytest.raises(WrongFile, match="too weak"):
        apply(text)
    assert [change.what for change in apply("", prune=True)] == ["removed"]
    assert services.find(second) is None


def test_a_settings_file_gives_no_rights_to_a_group_that_a_directory_has_made_in_advance():
    """Withstands a malicious directory."""
    okta = Scim()
    members = [{"value": okta.add("mallory")}]
    okta.call("POST", "Groups", {"displayName": "editors", "members": members})

    with pytest.raises(WrongFile, match="A directory decides"):
        apply('[groups.editors]\nrights = ["accounts.view_user"]')
    apply("[groups.editors]")

    assert not Group.objects.get(name="editors").permissions.exists()
