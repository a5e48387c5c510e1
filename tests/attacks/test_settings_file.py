"""What a settings file must not do, and what staff have ended although it says otherwise."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.crypto import unseal
from accounts.common.secrets import CLIENT_SECRET, REGISTRATION
from accounts.oauth.clients import registration
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client, ClientSecret, RegistrationToken
from accounts.oauth.clients.registration import find_token
from accounts.settingsfile.models import MadeByFile
from accounts.settingsfile.services import WrongFile, apply, dump
from accounts.webhooks.models import Endpoint
from accounts.webhooks.services import PURPOSE, rotate_secret, set_enabled
from tests.support.apps import make_app
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.registration import new_token, self_register
from tests.support.site import Site, together
from tests.support.steps import make_user
from tests.support.webhooks import told_at

pytestmark = pytest.mark.django_db

URI = 'name = "Wiki"\nredirect_uris = ["https://wiki.example.org/"]\n'
APP = f"[apps.wiki]\n{URI}"
GROUP = "[groups.Editors]\n"
TOKEN = '[registration_tokens.ci]\ntoken = "env:TOKEN"\nexpires = 2026-12-01T00:00:00Z\n'
HOOK = '[webhooks.Billing]\nurl = "https://billing.example/"\nkinds = ["user.deleted"]\n'
STAFF = Actor(name="carol")


@pytest.fixture(autouse=True)
def referred(monkeypatch, clock):
    """The secrets to which the files refer. The time is a month before the token expires."""
    clock.set(datetime(2026, 11, 1, tzinfo=UTC))
    found = {"SECRET": CLIENT_SECRET.make().text, "TOKEN": REGISTRATION.make().text}
    found["HOOK"] = f"whsec_{'A' * 32}"
    for name, text in found.items():
        monkeypatch.setenv(name, text)
    return found


def state():
    models = (Group, Group.permissions.through, Client, ClientSecret, RegistrationToken)
    models = (*models, Endpoint, Activity, MadeByFile)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_prune_removes_nothing_that_staff_have_made():
    """Withstands an operator's mistake."""
    Group.objects.create(name="Editors")
    clients.create(Client(pk="wiki", name="W", redirect_uris=["https://w.example/"]), STAFF)
    new_token()
    told_at("https://billing.example/", description="Billing")
    apply(f"{GROUP}[groups.Renamed]\n[groups.Gone]\n{APP}{HOOK}[webhooks.Renamed]\n{HOOK[19:]}")
    Endpoint.objects.filter(description="Renamed").update(description="Invoices")
    Group.objects.filter(name="Renamed").update(name="Writers")
    Group.objects.get(name="Gone").delete()
    Group.objects.create(name="Gone")

    assert apply("", prune=True) == []
    assert Group.objects.filter(name__in=["Editors", "Writers", "Gone"]).count() == 3
    assert Client.objects.get().disabled_at is None
    assert Endpoint.objects.filter(disabled_at=None).count() == 2
    assert RegistrationToken.objects.exists()


def test_a_webhook_for_people_of_a_deleted_group_does_not_hear_of_everybody():
    """Withstands an operator's mistake."""
    apply(f"{GROUP}{HOOK}groups = ['Editors']")
    Group.objects.get(name="Editors").delete()
    hook = Endpoint.objects.get()

    dumped = dump("https://accounts.example.org")
    assert apply(dumped) == []
    Endpoint.objects.all().delete()
    apply(dumped)

    assert Endpoint.objects.get().groups == [0]
    assert hook.groups != [0]


def test_prune_keeps_a_group_that_an_app_needs():
    text = f'{GROUP}{APP}required_group = "Editors"'
    apply(text)

    assert [change.item for change in apply("", prune=True)] == ["apps.wiki"]
    assert apply("", prune=True) == []
    assert Client.objects.get().required_group.name == "Editors"


def test_what_staff_have_ended_stays_ended(referred):
    """Withstands an operator's mistake."""
    text = f'{APP}secret = "env:SECRET"\n{TOKEN}{HOOK}secret = "env:HOOK"'
    apply(text)
    app = Client.objects.get()
    assert clients.authenticate("wiki", referred["SECRET"]) == app
    assert find_token(referred["TOKEN"])

    clients.rotate_secret(app, STAFF, now=True)
    registration.revoke(RegistrationToken.objects.get(), STAFF)
    clients.set_enabled(app, STAFF, enabled=False)
    hook = Endpoint.objects.get()
    secret = rotate_secret(hook, STAFF, now=True)
    set_enabled(hook, STAFF, enabled=False)

    assert apply(text) == []
    hook.refresh_from_db()
    assert (unseal(hook.secret, PURPOSE), hook.disabled_at is None) == (secret, False)
    assert Client.objects.get().disabled_at
    clients.set_enabled(app, STAFF, enabled=True)
    assert clients.authenticate("wiki", referred["SECRET"]) is None
    assert find_token(referred["TOKEN"]) is None


WRONG = [
    ("x", "line 2"),
    ("[people.alice]", "'people' is not one of: groups"),
    ("apps = 1", "apps: must be a table"),
    (f"apps = {'[' * 3000}", "nested too deeply"),
    ("groups.Editors = 1", "groups.Editors: must be a table"),
    (f"{GROUP}superuser = true", "groups.Editors: 'superuser' is not one of: rights"),
    (f"{GROUP}rights = 'accounts.view_user'", "groups.Editors.rights: must be a list of texts"),
    (f"{GROUP}rights = [1]", "groups.Editors.rights: must be a list of texts"),
    ('[groups."A\\u0000"]', "invisible"),
    (f"[groups.{'x' * 151}]", "at most 150"),
    (f"{APP}is_public = 1", "apps.wiki.is_public: must be true or false"),
    (f"{APP}secret = 'authsite_client_x'", "apps.wiki.secret: Refer to the secret by env:NAME"),
    (f"{APP}secret = 'env:NONE'", "apps.wiki.secret: There is no environment variable 'NONE'"),
    (f"{APP}secret = 'file:/none'", "apps.wiki.secret: [Errno 2] No such file"),
    (f"{APP}secret = 'env:TOKEN'", "apps.wiki.secret: This secret is too weak"),
    (f"{APP}secret = 'env:SECRET'\nis_public = true", "apps.wiki: This app has no secret."),
    (f"{APP}logo = 'file:/dev/null'", "apps.wiki.logo: Choose a square PNG file"),
    (f"{APP}logo = '%'", "apps.wiki.logo: Choose a square PNG file"),
    (f"{APP}scope = ['admin:write']", "apps.wiki.scope: 'admin:write' is not one of: openid"),
    (f"{APP}jwks = {{keys = []}}", "apps.wiki.jwks: Enter a JSON Web Key Set"),
    (f"{APP}required_group = 'None'", "apps.wiki.required_group: There is no such group"),
    (f"{APP}homepage = 'http://wiki.example.org'", "apps.wiki.homepage: Enter a valid URL"),
    (f"{HOOK}secret = 'env:TOKEN'", "webhooks.Billing.secret: A secret is whsec_ and 24 to 64"),
    (f"{HOOK[:-25]}format = 'set'\nkinds = ['email.changed']", "Billing.kinds: This format doesn"),
    (f"{HOOK}groups = ['None']", "webhooks.Billing.groups: 'None' is not one of: "),
    (f"[apps.'a/b']\n{URI}", "apps.a/b: A client ID consists"),
    (f"{TOKEN}scope = ['admin:write']", "registration_tokens.ci.scope: 'admin:write' is not"),
    (TOKEN.replace("2026", "2027"), "registration_tokens.ci: A token expires in at most 365 days."),
    (f"{TOKEN}clients = 1001", "registration_tokens.ci: A token is for 1 to 1000 apps."),
    (TOKEN.replace("Z\n", "\n"), "tokens.ci.expires: must be a date and time with its"),
    ("[registration_tokens.ci]", "registration_tokens.ci.token: Refer to the token"),
]


def test_a_wrong_file_changes_nothing_and_says_what_is_wrong(referred):
    """Withstands an operator's mistake."""
    before = state()
    for wrong, message in WRONG:
        with pytest.raises(WrongFile) as refused:
            apply(f"groups.Before = {{}}\n{wrong}\n")

        assert message in str(refused.value)
        assert not any(text in str(refused.value) for text in referred.values())
    assert state() == before


@pytest.mark.parametrize("right", ["auth.change_group", "accounts.change_user", "accounts.manage"])
def test_a_group_gets_no_right_that_the_admin_does_not_offer(right):
    """Withstands an operator's mistake: a settings file."""
    make_user("carol", is_superuser=True)
    before = state()

    with pytest.raises(WrongFile, match=rf"groups\.Editors\.rights: '{right}' is not one of: "):
        apply(f"{GROUP}rights = ['accounts.view_user', '{right}']")

    assert state() == before


def test_a_file_takes_over_no_app_that_describes_itself_and_makes_none_public():
    """Withstands an operator's mistake."""
    app = self_register(new_token()).json()["client_id"]
    make_app(id="wiki")

    for client_id, more in ((app, ""), ("wiki", "is_public = true")):
        with pytest.raises(WrongFile, match=rf"apps\.{client_id}: "):
            apply(f"[apps.{client_id}]\n{URI}{more}")


def test_a_token_that_exists_does_not_change():
    """Withstands an operator's mistake: a registration token grows by a settings file."""
    apply(TOKEN)
    with pytest.raises(WrongFile, match=r"registration_tokens\.ci\.scope: A token never changes"):
        apply(f"{TOKEN}scope = ['openid', 'groups']")
    assert apply(f"{TOKEN}clients = 9") == []


@pytest.mark.parametrize("engine", POSTGRES_PROVED)
def test_nodes_that_apply_a_file_at_once_take_turns(request, engine, tmp_path):
    """Withstands a race."""
    (tmp_path / "settings.toml").write_text(f"{GROUP}{APP}")
    site = Site(data_dir=tmp_path, migrate=False, **database(request, engine))
    site.manage("migrate", "--verbosity", "0")

    printed = together(2, lambda _: site.manage("apply", str(tmp_path / "settings.toml")))

    assert sorted("new apps.wiki" in text for text in printed) == [False, True]
