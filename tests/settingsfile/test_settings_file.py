"""The settings file: what it describes is made, once, and a dump of a site makes the same site."""

import io
import re
import tomllib
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from accounts.activity.models import Activity
from accounts.common.crypto import unseal
from accounts.common.secrets import CLIENT_SECRET, REGISTRATION, SCIM_TOKEN
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client, RegistrationToken
from accounts.oauth.clients.registration import find_token
from accounts.scim.models import Directory
from accounts.settingsfile import services
from accounts.settingsfile.models import MadeByFile
from accounts.settingsfile.services import apply
from accounts.webhooks.models import Endpoint
from accounts.webhooks.services import PURPOSE
from tests.support.apps import run
from tests.support.client_keys import public_of
from tests.support.forgeries import key_of
from tests.support.signin import set_up, signed_in
from tests.support.site import ROOT
from tests.support.steps import make_user

SERVICE = "https://wiki.example.org"
HOOK_SECRET = f"whsec_{'A' * 32}"
URI = 'name = "Wiki"\nredirect_uris = ["https://wiki.example.org/"]'
EDITORS = '[groups.Editors]\nrights = ["accounts.view_user"]\n'
# Together, the rows have each key of each kind with another value than its default.
FULL = f"""
[groups.'Ed "itors"']
rights = ["accounts.view_user", "oauth.view_client"]

[apps.wiki]
{URI}
is_verified = false
is_first_party = true
is_device = true
logout_uris = ["https://wiki.example.org/bye"]
backchannel_logout_uri = "https://10.0.0.1/logout"
backchannel_logout_is_private = true
scope = ["openid", "groups"]
audiences = ["{SERVICE}"]
resource = "{SERVICE}"
requires_pkce = false
requires_par = true
requires_dpop = true
rotates_refresh = false
renews_id_token = false
logo = "file:LOGO"
factor = "passkey"
required_group = 'Ed "itors"'
homepage = "https://wiki.example.org/"
privacy_url = "https://wiki.example.org/"
terms_url = "https://wiki.example.org/"
secret = "env:WIKI_SECRET"
enabled = false

[apps.signing]
{URI}
is_development = true
id_token_algorithm = "ES256"
jwks = JWKS

[apps.remote]
{URI}
sector = "wiki.example.org"
jwks_uri = "https://10.0.0.1/keys"
jwks_uri_is_private = true

[apps.terminal]
name = "Terminal \\u2603"
is_public = true
is_device = true

[webhooks.Billing]
url = "https://10.0.0.1/hook"
is_private = true
format = "set"
kinds = ["user.deleted"]
groups = ['Ed "itors"']
secret = "env:HOOK_SECRET"
enabled = false

[directories.Okta]
token = "env:OKTA"
expires = 2030-01-01T00:00:00Z
enabled = false

[registration_tokens.ci]
token = "file:TOKEN"
clients = 5
expires = 2026-12-01T12:00:00.123456+02:00
scope = ["openid", "groups"]
audiences = ["{SERVICE}"]
"""


@pytest.fixture
def full(settings, monkeypatch, tmp_path, clock):
    """A file with everything, the secret of an app, and a registration token."""
    set_up(settings, token_audiences=(SERVICE,))
    clock.set(datetime(2026, 11, 1, tzinfo=UTC))
    secret, token = CLIENT_SECRET.make().text, REGISTRATION.make().text
    monkeypatch.setenv("WIKI_SECRET", secret)
    monkeypatch.setenv("HOOK_SECRET", HOOK_SECRET)
    monkeypatch.setenv("OKTA", SCIM_TOKEN.make().text)
    (tmp_path / "token").write_text(f"{token}\n")
    (tmp_path / "logo").write_bytes(clients.START + (64).to_bytes(4) * 2)
    text = FULL.replace("LOGO", f"{tmp_path}/logo").replace("TOKEN", f"{tmp_path}/token")
    jwks = public_of(key_of("ES256"), key_of("RS256"))
    return text.replace("JWKS", services.as_toml(jwks)), secret, token


def dump():
    output = io.StringIO()
    call_command("dump", stdout=output)
    return output.getvalue()


def test_a_dump_of_a_full_site_applies_to_an_empty_one_without_a_difference(db, full):
    text, secret, token = full
    apply(text)
    dumped = dump()
    for model in (Client, RegistrationToken, MadeByFile, Endpoint, Directory, Group):
        model.objects.all().delete()

    apply(dumped)

    assert dump() == dumped
    assert apply(dumped) == []
    assert [change.item for change in apply(text)] == ["webhooks.Billing"]
    assert unseal(Endpoint.objects.get().secret, PURPOSE) == HOOK_SECRET
    assert apply(text) == []
    tables = tomllib.loads(dumped)
    for kind in services._kinds():
        keys = {key for row in tables[kind.name].values() for key in row}
        assert keys == kind.defaults.keys() - ({"secret"} if kind.name == "webhooks" else set())
    Client.objects.update(disabled_at=None)
    assert clients.authenticate("wiki", secret)
    assert find_token(token).clients_left == 5
    assert not any(text in dumped for text in (secret, token, HOOK_SECRET))


def test_the_standard_library_reads_what_a_dump_writes():
    odd, moment = '"\\\n\t\x00\x1f\x7f\u2028é😀', datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    values = {"text": odd, "more": [True, -1, moment, [], {}, {odd: [odd, {"": ""}]}]}

    assert tomllib.loads(services.table("kind", odd, values)) == {"kind": {odd: values}}


def test_the_example_in_the_docs_can_be_applied(db, monkeypatch, tmp_path):
    monkeypatch.setenv("WIKI_SECRET", CLIENT_SECRET.make().text)
    monkeypatch.setenv("OKTA", SCIM_TOKEN.make().text)
    (tmp_path / "token").write_text(REGISTRATION.make().text)
    page = (ROOT / "docs/operating.md").read_text()
    (example,) = re.findall(r"```toml\n(\[groups.*?)```", page, re.DOTALL)

    apply(example.replace("/run/secrets/registration", f"{tmp_path}/token"))

    assert Client.objects.get().required_group.name == "Editors"


def test_the_command_shows_differences_and_makes_them(db, tmp_path, settings, capsys):
    file = tmp_path / "settings.toml"
    file.write_text(EDITORS)
    with pytest.raises(SystemExit, match="1"):
        call_command("apply", str(file), "--check")
    assert capsys.readouterr().out == "new groups.Editors\n"
    assert not Group.objects.filter(name="Editors").exists()

    call_command("apply", str(file))
    call_command("apply", str(file), "--check")
    file.write_text(f"[groups.Editors]\n[apps.wiki]\n{URI}")
    set_up(settings, settings_file=str(file))
    capsys.readouterr()
    assert run("apply")["changes"] == [
        {
            "what": "changed",
            "item": "groups.Editors",
            "values": {"rights": ['["accounts.view_user"]', "[]"]},
        },
        {"what": "new", "item": "apps.wiki", "values": {}},
    ]

    file.write_text("")
    call_command("apply", "--prune")
    call_command("apply", "--prune")
    shown = "removed apps.wiki\nremoved groups.Editors\nNothing differs.\n"
    assert capsys.readouterr().out == shown
    set_up(settings, settings_file="")
    call_command("apply", "--prune")


def test_superusers_and_members_read_that_a_settings_file_has_made_a_change(full):
    make_user("carol", is_staff=True, is_superuser=True)
    bob = make_user("bob")
    apply(EDITORS)
    bob.groups.add(Group.objects.get(name="Editors"))
    browser = signed_in(bob)
    rows = Activity.objects.filter(actor="@operator", reason="settings file")

    apply(f"[groups.Editors]\n{full[0].partition(']')[2]}".replace("""'Ed "itors"'""", '"Editors"'))

    assert browser.get("/").status_code == 302
    assert set(rows.values_list("user__username", "kind")) == {
        *(("bob", "rights_changed"), ("carol", "staff_changed"), ("carol", "group_changed")),
        *(("carol", "app_registered"), ("carol", "app_disabled")),
        *(("carol", "webhook_added"), ("carol", "webhook_disabled")),
        *(("carol", "directory_added"), ("carol", "directory_disabled")),
        ("carol", "registration_token_made"),
    }
