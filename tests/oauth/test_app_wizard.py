"""The registration of an app in the admin, step by step."""

import re

import pytest

from accounts.oauth.clients.forms import KINDS, snippet
from accounts.oauth.clients.models import Client
from tests.support import env
from tests.support.administration import REASON
from tests.support.apps import ADD, WEB, shown_secret, the_app
from tests.support.invitations import superuser
from tests.support.signin import set_up

WIKI = "https://wiki.example.org"
NEEDED = {"name": "Shop", "reason": REASON}


@pytest.fixture
def carol(settings):
    """A browser in which carol, a superuser, is signed in."""
    set_up(settings, token_audiences=(WIKI,))
    return superuser()[1]


def filled(browser, kind):
    """Return the fields of the form for this kind of app, with what every app needs."""
    form = browser.get(f"{ADD}?kind={kind}").context["adminform"].form
    values = {name: form.get_initial_for_field(form.fields[name], name) for name in form.fields}
    return {name: value for name, value in values.items() if value} | NEEDED


def test_the_first_step_offers_the_kinds_and_the_second_only_what_each_needs(carol):
    links = re.findall(r'href="\?kind=(\w+)"', carol.get(ADD).text)
    assert links == list(KINDS)
    in_german = carol.get(ADD, headers={"accept-language": "de"}).text
    assert "Der Server der App bewahrt ein Secret auf." in in_german

    for name, kind in KINDS.items():
        page = carol.get(f"{ADD}?kind={name}")
        first, *others, last = fieldsets = [*page.context["adminform"]]
        assert (first.fields, last.fields) == (kind.fields, ("reason",))
        assert all(fieldset.is_collapsible for fieldset in others)
        fields = page.context["adminform"].form.fields
        assert sum(len(fieldset.fields) for fieldset in fieldsets) == len(fields)


MORE = {"redirect_uris": WEB}
WANTED = {
    "web": (MORE, "CLIENT_SECRET="),
    "spa": (MORE, f'redirect_uri: "{WEB}"'),
    "native": ({"redirect_uris": "http://127.0.0.1/callback"}, "CLIENT_ID="),
    "device": ({}, "/oauth/device_authorization"),
    "forward": ({"redirect_uris": f"{WIKI}/auth/forward/callback"}, "CLIENT_ID=wiki.example.org"),
    "service": ({"resource": WIKI}, "/oauth/introspect"),
    "mcp": ({"resource": WIKI}, f"RESOURCE={WIKI}\nuvicorn"),
}

PUBLIC = {"spa", "native", "device", "forward"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_step_shows_what_the_app_and_its_program_need(carol, kind):
    more, told = WANTED[kind]
    page = carol.post(f"{ADD}?kind={kind}", filled(carol, kind) | more)

    app, secret = the_app(), shown_secret(page)
    assert (bool(secret), app.is_public) == (app.has_secret, kind in PUBLIC)
    assert (app.is_device, app.resource) == (kind == "device", more.get("resource", ""))
    assert not app.is_verified
    for text in (app.pk, "http://localhost:8000", "nobody has verified"):
        assert text in page.text
    assert told in page.context["snippet"]
    trial = page.context["trial"]
    assert bool(trial) == (kind not in {"service", "mcp"})
    if "authorize" in trial:
        asks = carol.get(trial, follow=True)
        assert (asks.status_code, "<bdi>Shop</bdi>" in asks.text) == (200, True)


def test_an_app_without_a_way_back_and_a_service_without_a_name_are_not_registered(carol):
    for kind, sentence in (("web", "Add at least one redirect URI."), ("mcp", "is required")):
        answer = carol.post(f"{ADD}?kind={kind}", filled(carol, kind))
        assert sentence in answer.text
    assert not Client.objects.exists()


def test_the_settings_of_an_app_are_those_in_the_guide():
    guide = (env.ROOT / "docs/sign-in-with.md").read_text()
    guide += (env.ROOT / "docs/verify.md").read_text()
    for kind in KINDS.values():
        app = Client(pk="CLIENT_ID", redirect_uris=[WEB], scope="openid")
        for line in snippet(app, "CLIENT_SECRET", kind).splitlines():
            written = line.replace("http://localhost:8000", "https://accounts.example.org")
            assert re.split('"?scope|redirect_uri', written)[0] in guide, line
