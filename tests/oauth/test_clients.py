"""Apps and how they authenticate."""

import base64
import json
import struct
import zlib
from urllib.parse import quote_plus, urlencode

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.errors import RateLimited
from accounts.common.secrets import CLIENT_SECRET
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.authentication import authenticate, find_authenticated
from accounts.oauth.clients.models import Client, ClientLogo, ClientSecret
from accounts.oauth.protocol import OAuthError, form_of
from accounts.tokens import keyring
from tests.support.administration import REASON, member
from tests.support.api_input import storable
from tests.support.apps import (
    LIST,
    WEB,
    act,
    add,
    change,
    page_of,
    register,
    run,
    shown_secret,
    the_app,
)
from tests.support.client_keys import ES256
from tests.support.invitations import superuser
from tests.support.oauth_client import new_app
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import mail_to

APP, URI = "https://paperless.example.org", "https://paperless.example.org/keys"


@pytest.fixture
def browser():
    """A browser in which carol, a superuser, is signed in."""
    return superuser()[1]


def is_valid(secret):
    return clients.authenticate(the_app().pk, secret) == the_app()


def test_a_superuser_registers_an_app_and_sees_its_secret_once(browser):
    group = Group.objects.create(name="Editors")
    chosen = {"logout_uris": f"{APP}/bye\n\n {APP}/bye ", "factor": "passkey", "homepage": APP}

    page = register(browser, **chosen, required_group=str(group.pk), _continue="1")

    secret, app = shown_secret(page), the_app()
    assert app.pk in page.text
    assert "no-store" in page["Cache-Control"]
    assert is_valid(secret)
    assert (app.name, app.redirect_uris, app.scope) == ("Paperless", [WEB], "openid email")
    assert (app.logout_uris, app.factor, app.homepage) == ([f"{APP}/bye"], "passkey", APP)
    assert (app.required_group, app.is_verified, app.is_public) == (group, True, False)
    for path in (page_of(app), LIST):
        assert "Paperless" in (text := browser.get(path).text)
        assert secret not in text
        assert ClientSecret.objects.get().digest not in text


def test_a_public_app_gets_no_secret_and_stays_public(browser):
    page = register(browser, is_public="on", redirect_uris="http://127.0.0.1/\norg.example.app:/")
    assert shown_secret(page) == ""

    assert change(browser, is_public="").status_code == 302
    act(browser, "secret")

    assert the_app().is_public
    assert not ClientSecret.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"redirect_uris": ""},
        {"redirect_uris": "http://127.0.0.1/"},
        {"redirect_uris": "\n".join(f"{WEB}/{n}" for n in range(51))},
        {"logout_uris": "javascript:alert(1)"},
        {"scope": ["openid", "admin:read"]},
        {"audiences": ["https://other.example.org"]},
        {"name": "Paper\u202eless"},
        {"homepage": "javascript:alert(1)"},
        {"terms_url": "http://paperless.example.org"},
        {"is_public": "on", "requires_pkce": ""},
        {"rotates_refresh": ""},
        {"redirect_uris": "http://127.0.0.1/", "is_public": "on", "is_first_party": "on"},
    ],
)
def test_an_app_with_a_wrong_field_is_not_registered(browser, fields):
    """Withstands a malicious app: anybody on a device gets its data without consent."""
    answer = register(browser, **fields)

    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not Client.objects.exists()


def test_a_new_secret_leaves_only_the_former_valid_and_for_seven_days(browser, clock):
    first = shown_secret(register(browser))

    second, third = (shown_secret(act(browser, "secret")) for _ in range(2))

    assert [is_valid(secret) for secret in (first, second, third)] == [False, True, True]
    clock.advance(days=7, seconds=-1)
    assert is_valid(second)
    clock.advance(seconds=1)
    assert (is_valid(second), is_valid(third)) == (False, True)
    call_command("prune")
    assert ClientSecret.objects.count() == 1


def test_a_form_that_is_sent_twice_makes_one_secret(browser):
    first = shown_secret(register(browser))
    current = browser.get(page_of(the_app())).context["current"]

    second = shown_secret(act(browser, "secret", current=current))
    again = act(browser, "secret", current=current, now="on")

    assert "a new secret since you opened the page" in browser.get(again.url).text
    assert (is_valid(first), is_valid(second)) == (True, True)


def test_a_leaked_secret_ends_at_once(browser):
    """Withstands an attacker of apps."""
    first = shown_secret(register(browser))
    second = shown_secret(act(browser, "secret"))

    third = shown_secret(act(browser, "secret", now="on"))

    assert [is_valid(secret) for secret in (first, second, third)] == [False, False, True]


def test_a_disabled_app_is_enabled_again_with_the_same_secret(browser):
    secret = shown_secret(register(browser))

    act(browser, "enabled", enabled="no")
    assert clients.authenticate(the_app().pk, secret) is None
    act(browser, "enabled", enabled="yes")
    assert is_valid(secret)
    app, other = the_app(), confidential("Wiki")
    disabled = [clients.set_enabled(app, Actor(), enabled=False) for _ in range(2)]
    assert (disabled, clients.authenticate(other[0].pk, other[1])) == ([True, False], other[0])


def test_each_change_is_in_the_history_and_mailed_to_every_superuser(browser):
    """Withstands a member of staff."""
    superuser("dave")

    register(browser)
    change(browser, redirect_uris=f"{APP}/new", factor="passkey")
    change(browser, redirect_uris=f"{APP}/new", factor="passkey")

    rows = Activity.objects.filter(kind__startswith="app_").order_by("id")
    changed = ("app_changed", "Paperless: factor, redirect_uris")
    for name in ("carol", "dave"):
        found = rows.filter(user__username=name).values_list("kind", "detail")
        assert list(found) == [("app_registered", "Paperless"), changed]
        assert mail_to(name).subject == "An app was changed"
    assert set(rows.values_list("actor", "reason")) == {("carol", REASON)}
    helper = member("helper", "Support")
    helper.user_permissions.set(Permission.objects.filter(codename__endswith="_client"))
    change(signed_in(helper), name="Shop")
    assert helper.activity.get(kind="app_changed").actor == "helper", "no superuser, but the actor"


def test_nothing_is_done_with_an_app_without_a_reason(browser):
    register(browser)

    for answer in (register(browser, name="Shop", reason=""), change(browser, reason="")):
        assert "Enter a reason." in answer.text
    for name in ("secret", "enabled"):
        act(browser, name, enabled="no", reason="")
    assert "Enter a reason." in browser.get(page_of(the_app())).text
    assert Activity.objects.get(kind__startswith="app_").kind == "app_registered"


def test_a_command_registers_an_app_with_all_that_its_options_say(settings, tmp_path):
    origin, group = settings.AUTHSITE.origin, Group.objects.create(name="Editors")
    private, logo = "https://10.0.0.1/logout", tmp_path / "logo.png"
    logo.write_bytes(png())

    answer = add(
        *("Wiki", "--redirect-uri", f"{APP}/a", f"{APP}/b", "--first-party", "--audience", origin),
        *("--scope", "openid", "profile:read", "--post-logout-uri", f"{APP}/bye", "--dpop"),
        *("--require", "passkey", "--group", "Editors", "--logo", str(logo)),
        *("--backchannel-logout-uri", private, "--par", "--no-pkce"),
    )
    assert answer["issuer"] == origin
    draft = add("Draft", "--redirect-uri", "http://localhost/", "--development")["client_id"]
    assert Client.objects.get(pk=draft).is_development
    Client.objects.filter(pk=draft).delete()

    app = the_app()
    assert answer["client_id"] == app.pk
    assert is_valid(answer["client_secret"])
    assert (app.name, app.redirect_uris) == ("Wiki", [f"{APP}/a", f"{APP}/b"])
    assert (app.logout_uris, app.backchannel_logout_uri) == ([f"{APP}/bye"], private)
    assert (app.scope, app.audiences) == ("openid profile:read", [origin])
    assert (app.factor, app.required_group) == ("passkey", group)
    assert (app.is_first_party, app.is_public, app.requires_dpop) == (True, False, True)
    assert (app.requires_par, app.requires_pkce) == (True, False)
    assert ClientLogo.objects.get(client=app).content == png()


def test_a_command_with_the_id_of_an_app_updates_it_and_keeps_its_secret(tmp_path):
    words = ("Wiki", "--redirect-uri", WEB, "--client-id", "wiki")
    first = add(*words, "--first-party", "--no-pkce")
    clients.set_enabled(the_app(), Actor(), enabled=False)
    carol = superuser()[0]

    assert add(*words, "--par").keys() == {"issuer", "client_id"}

    changes = "Wiki: is_first_party, requires_par, requires_pkce"
    assert carol.activity.get(kind="app_changed").detail == changes
    app = the_app()
    assert (app.pk, app.requires_par, app.requires_pkce) == ("wiki", True, True)
    assert (app.is_first_party, app.disabled_at is None) == (False, False)
    clients.set_enabled(app, Actor(), enabled=True)
    assert is_valid(first["client_secret"])
    (tmp_path / "logo.png").write_bytes(png())
    add(*words, "--par", "--logo", f"{tmp_path}/logo.png")
    assert the_app().logo == clients.version_of(png())
    with pytest.raises(CommandError, match="stays public"):
        add(*words, "--public")
    Client.objects.update(source=Client.Source.REGISTRATION)
    with pytest.raises(CommandError, match="described itself"):
        add(*words)
    for wrong in ("https://wiki.example.org/app", "a b", "\0"):
        with pytest.raises(CommandError, match="client ID consists"):
            add(*words[:-1], wrong)


def test_the_command_ends_with_what_the_programs_of_the_guide_read(capsys):
    call_command("add_client", "Wiki", "--redirect-uri", WEB)

    *_facts, issuer, client_id, secret = capsys.readouterr().out.strip().splitlines()
    assert issuer == "ISSUER=http://localhost:8000"
    assert client_id == f"CLIENT_ID={the_app().pk}"
    assert is_valid(secret.removeprefix("CLIENT_SECRET="))


def test_a_profile_sets_what_fapi_2_requires(tmp_path, settings):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [ES256]}))
    words = ("Bank", "--redirect-uri", WEB, "--profile", "fapi2")

    add(*words, "--jwks", str(jwks))

    app = the_app()
    assert (app.requires_pkce, app.requires_par, app.requires_dpop) == (True, True, True)
    assert (app.rotates_refresh, app.id_token_algorithm) == (False, "ES256")
    for wrong in ((), ("--jwks-uri", URI, "--no-pkce")):
        with pytest.raises(CommandError):
            add(*words, *wrong)
    set_up(settings, token_algorithm="EdDSA")
    keyring.forget()
    with pytest.raises(CommandError, match="no key for this algorithm"):
        add(*words, "--jwks-uri", URI)


def test_an_app_that_can_have_no_secret_is_given_none_and_not_registered():
    public = Client(name="Paperless", redirect_uris=[WEB], is_public=True)

    with pytest.raises(clients.NoSecret):
        clients.create(public, Actor(), CLIENT_SECRET.make())

    assert not Client.objects.exists()


def test_a_command_gives_a_public_app_or_one_with_a_key_no_secret(tmp_path):
    jwks, private = tmp_path / "jwks.json", "https://10.0.0.1/keys"
    jwks.write_text(json.dumps({"keys": [ES256]}))

    for words, fields in (
        (("--public",), {"is_public": True, "scope": "openid profile email"}),
        (("--jwks", str(jwks)), {"jwks": {"keys": [ES256]}}),
        (("--jwks-uri", URI), {"jwks_uri": URI, "jwks_uri_is_private": False}),
        (("--jwks-uri", private), {"jwks_uri": private, "jwks_uri_is_private": True}),
        (("--jwks-uri", URI, "--jwks-uri-private"), {"jwks_uri_is_private": True}),
    ):
        added = add("Wiki", "--redirect-uri", WEB, *words)
        assert added.keys() == {"issuer", "client_id"}
        assert Client.objects.get(**fields).pk == added["client_id"]
        Client.objects.all().delete()


@pytest.mark.parametrize(
    "words, sector",
    [
        ([WEB.replace(".org/", ".org:8443/"), WEB, "--pairwise"], "paperless.example.org"),
        ([WEB, "https://www.example.org/", "--pairwise", "--sector", "example.org"], "example.org"),
        ([WEB], ""),
    ],
)
def test_a_command_takes_the_sector_from_the_redirect_uris(words, sector):
    add("Wiki", "--redirect-uri", *words)

    assert the_app().sector == sector


@pytest.mark.parametrize(
    "arguments",
    [
        ["Wiki"],
        ["Wiki", "--redirect-uri", "http://127.0.0.1/"],
        ["Wiki", "--redirect-uri", WEB, "--scope", "admin:write"],
        ["Wiki", "--redirect-uri", WEB, "--group", "Editors"],
        ["Wiki", "--redirect-uri", WEB, "--public", "--no-pkce"],
        ["Wiki", "--redirect-uri", WEB, "--logo", __file__],
        ["Wiki", "--redirect-uri", WEB, "--jwks", __file__],
        ["Wiki", "--redirect-uri", WEB, "--jwks", "/nowhere"],
        ["Wiki", "--redirect-uri", WEB, "https://www.example.org/", "--pairwise"],
        ["Wiki", "--redirect-uri", WEB, "--pairwise", "--sector", "example.org:8443"],
    ],
)
def test_a_command_refuses_what_the_form_refuses(arguments):
    with pytest.raises(CommandError):
        add(*arguments)
    assert not Client.objects.exists()


def test_commands_make_new_secrets_and_disable_an_app():
    first = add("Wiki", "--redirect-uri", WEB)["client_secret"]
    app = the_app().pk

    second = run("rotate_client_secret", app)["client_secret"]
    assert is_valid(first)
    third = run("rotate_client_secret", app, "--now")["client_secret"]
    assert [is_valid(secret) for secret in (first, second, third)] == [False, False, True]
    for _ in range(2):
        assert run("disable_client", app) == {"client_id": app, "disabled": True}
    assert not is_valid(third)
    Client.objects.update(is_public=True)
    for arguments in (["disable_client", "x\0"], ["rotate_client_secret", app]):
        with pytest.raises(CommandError):
            call_command(*arguments)


def confidential(name="Paperless", **fields):
    client = Client(name=name, redirect_uris=[WEB], **fields)
    return client, clients.create(client, Actor(name="@operator"))


def basic(client_id, secret):
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def request(authorization="", ip="192.0.2.1", **form):
    headers = {"Authorization": authorization} if authorization else {}
    return RequestFactory(REMOTE_ADDR=ip).post(
        "/oauth/token",
        urlencode({"grant_type": "any"} | form),
        content_type="application/x-www-form-urlencoded",
        headers=headers,
    )


def found(*arguments, **form):
    """Return the client that authenticates, or the error."""
    sent = request(*arguments, **form)
    try:
        return authenticate(sent, form_of(sent))
    except OAuthError as error:
        return error.error


@proves("RFC9700-2.5")
def test_each_client_authenticates_by_the_methods_of_its_kind():
    paperless, secret = confidential()
    cli = new_app("Cli", is_public=True).client

    assert found(basic(paperless.pk, secret)) == paperless
    assert found(basic(paperless.pk, secret), client_id=paperless.pk) == paperless
    assert found(client_id=paperless.pk, client_secret=secret) == paperless
    assert found(client_id=cli.pk) == cli
    assert found(basic(cli.pk, "")) == cli


def test_the_parts_of_http_basic_are_decoded_as_a_form():
    odd = "https://app.example/a+b c:%"
    paperless, secret = confidential(id=odd)

    assert found(basic(quote_plus(odd), quote_plus(secret))) == paperless
    assert found(basic(quote_plus(odd), quote_plus(secret)).replace("Basic", "basic")) == paperless
    for wrong in (basic(odd, secret), basic(quote_plus(odd), f"{quote_plus(secret)}%0A")):
        assert found(wrong) == "invalid_client"
    for broken in ("%ff", "%00", "\u00e9"):
        assert found(basic(broken, secret)) == "invalid_client"
    good = basic(quote_plus(odd), quote_plus(secret))
    for value in ("Basic", "Basic !", "Basic eA==", good.replace("Basic", "Bearer"), "Basic "):
        assert found(value) == "invalid_client"


def test_two_methods_at_once_are_refused():
    paperless, secret = confidential()
    other, other_secret = confidential("Wiki")
    header = basic(paperless.pk, secret)

    assert found(header, client_id=paperless.pk, client_secret=secret) == "invalid_request"
    assert found(header, client_id=other.pk) == "invalid_request"
    for name in ("client_assertion", "client_assertion_type"):
        assert found(header, **{name: "x"}) == "invalid_request"
        form = {"client_id": paperless.pk, "client_secret": secret, name: "x"}
        assert found(**form) == "invalid_request"
    assert found(client_id=paperless.pk, client_secret=other_secret) == "invalid_client"
    public = new_app("Cli", is_public=True).client
    for other in ({"authorization": header}, {"client_id": public.pk}):
        sent = request(**other, client_assertion="x")
        with pytest.raises(OAuthError):
            find_authenticated(sent, form_of(sent))


def test_public_clients_have_no_secret_and_others_need_theirs():
    """Withstands an attacker of apps: an ID without a secret."""
    paperless, secret = confidential()
    cli = new_app("Cli", is_public=True).client

    assert found() == "invalid_client"
    assert found(client_id=paperless.pk) == "invalid_client"
    assert found(client_id=cli.pk, client_secret=secret) == "invalid_client"
    assert found(basic(paperless.pk, "")) == "invalid_client"
    Client.objects.update(is_public=True)
    assert found(client_id=paperless.pk, client_secret=secret) == "invalid_client"
    clients.set_enabled(cli, Actor(), enabled=False)
    assert found(client_id=cli.pk) == "invalid_client"


def test_wrong_secrets_are_limited_and_never_stop_the_client_itself():
    """Withstands a flood."""
    paperless, secret = confidential()
    wrong = basic(paperless.pk, f"{secret}x")

    def flood():
        for count in range(100):
            try:
                assert found(wrong) == "invalid_client"
            except RateLimited:
                return count
        return 100

    assert 10 < flood() < 30
    assert found(basic(paperless.pk, secret)) == paperless
    assert found(wrong, "198.51.100.7") == "invalid_client"
    assert found(basic("other", "x")) == "invalid_client", "each app has its own limit"
    with pytest.raises(RateLimited):
        assert {found(basic(f"app {number}", "x")) for number in range(60)}


def png(width=64, height=64, more=b""):
    """Return a black PNG file of this size, with ``more`` after its end."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (width + 1) * height)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + more


def file(content):
    return SimpleUploadedFile("logo.png", content, "image/png")


def test_a_logo_is_shown_replaced_and_removed(browser):
    register(browser, logo=file(png()))
    url = f"/oauth/logos/{the_app().pk}/{the_app().logo}.png"
    shown = browser.get(url)

    assert shown.content == png()
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert "immutable" in shown["Cache-Control"]

    change(browser)
    assert browser.get(url).status_code == 200, "another change keeps the logo"
    change(browser, logo=file(png(32, 32)))
    assert browser.get(url).status_code == 404
    assert clients.find_logo(the_app().pk, the_app().logo) == png(32, 32)
    change(browser, **{"logo-clear": "on"})
    assert (the_app().logo, ClientLogo.objects.count()) == ("", 0)


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<script>alert(1)" + struct.pack(">II", 64, 64) + b"</script>",
        png(64, 32),
        png(16, 16),
        png(1024, 1024),
        png(more=bytes(32_768)),
    ],
    ids=["svg", "numbers where PNG has its size", "not square", "small", "big", "long"],
)
def test_other_files_are_refused(browser, content):
    """Withstands a malicious app: a logo that runs scripts."""
    page = register(browser, logo=file(content))

    assert "Choose a square PNG file" in page.text
    assert not ClientLogo.objects.exists()


def test_an_odd_address_of_a_logo_leads_nowhere(browser):
    with connection.execute_wrapper(storable):
        for path in ("%00/x", "x/%00", "x/%F0%9F%98%80"):
            assert browser.get(f"/oauth/logos/{path}.png").status_code == 404
