"""Apps in the admin and on the command line: registering, changing, secrets, disabling."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from accounts.activity.models import Activity
from accounts.oauth.clients import services as clients
from accounts.oauth.models import Client, ClientSecret
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
from tests.support.clock import Clock
from tests.support.invitations import superuser
from tests.support.signin import set_up
from tests.support.steps import mail_to

pytestmark = pytest.mark.django_db

APP = "https://paperless.example.org"


@pytest.fixture
def browser() -> Browser:
    """A browser in which carol, a superuser, is signed in."""
    return superuser()[1]


def is_valid(secret: str) -> bool:
    return clients.authenticate(the_app().pk, secret) == the_app()


def test_a_superuser_registers_an_app_and_sees_its_secret_once(browser: Browser) -> None:
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


def test_a_public_app_gets_no_secret_and_stays_public(browser: Browser) -> None:
    page = register(browser, is_public="on", redirect_uris="http://127.0.0.1/\norg.example.app:/")
    assert the_app().pk in page.text
    assert not ClientSecret.objects.exists()

    assert change(browser, is_public="").status_code == 302
    act(browser, "secret")

    assert the_app().is_public
    assert not ClientSecret.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"redirect_uris": ""},
        {"redirect_uris": f"{WEB}\nhttp://paperless.example.org/"},
        {"redirect_uris": "http://127.0.0.1/"},
        {"redirect_uris": "\n".join(f"{WEB}/{n}" for n in range(51))},
        {"logout_uris": "javascript:alert(1)"},
        {"scope": ["openid", "admin:read"]},
        {"scope": ["read"]},
        {"scope": ["keys:write"]},
        {"scope": []},
        {"audiences": ["https://other.example.org"]},
        {"name": "Paper\u202eless"},
        {"name": ""},
        {"homepage": "javascript:alert(1)"},
        {"terms_url": "http://paperless.example.org"},
        {"redirect_uris": "http://127.0.0.1/", "is_public": "on", "is_first_party": "on"},
    ],
)
def test_an_app_with_a_wrong_field_is_not_registered(browser: Browser, fields: Any) -> None:
    answer = register(browser, **fields)

    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not Client.objects.exists()


def test_an_app_gets_tokens_for_this_site_and_the_audiences_of_the_settings(
    settings: Any, browser: Browser
) -> None:
    set_up(settings, token_audiences=("https://wiki.example.org",))
    chosen = [settings.AUTHSITE.origin, "https://wiki.example.org"]

    register(browser, audiences=chosen)

    assert the_app().audiences == chosen


def test_a_new_secret_leaves_the_former_valid_for_seven_days(
    browser: Browser, clock: Clock
) -> None:
    first = shown_secret(register(browser))

    second = shown_secret(act(browser, "secret"))

    assert (is_valid(first), is_valid(second)) == (True, True)
    assert "The former secret is valid until" in browser.get(page_of(the_app())).text
    clock.advance(days=7, seconds=-1)
    assert is_valid(first)
    clock.advance(seconds=1)
    assert (is_valid(first), is_valid(second)) == (False, True)
    call_command("prune")
    assert ClientSecret.objects.count() == 1


def test_at_most_two_secrets_are_valid(browser: Browser) -> None:
    first = shown_secret(register(browser))

    second, third = (shown_secret(act(browser, "secret")) for _ in range(2))

    assert [is_valid(secret) for secret in (first, second, third)] == [False, True, True]


def test_a_form_that_is_sent_twice_makes_one_secret(browser: Browser) -> None:
    first = shown_secret(register(browser))
    current = browser.get(page_of(the_app())).context["current"]

    second = shown_secret(act(browser, "secret", current=current))
    again = act(browser, "secret", current=current, now="on")

    assert again.status_code == 302
    assert "a new secret since you opened the page" in browser.get(again.url).text
    assert (is_valid(first), is_valid(second)) == (True, True)


def test_a_leaked_secret_ends_at_once(browser: Browser) -> None:
    first = shown_secret(register(browser))
    second = shown_secret(act(browser, "secret"))

    third = shown_secret(act(browser, "secret", now="on"))

    assert [is_valid(secret) for secret in (first, second, third)] == [False, False, True]


def test_a_disabled_app_is_enabled_again_with_the_same_secret(browser: Browser) -> None:
    secret = shown_secret(register(browser))

    act(browser, "enabled", enabled="no")
    assert clients.authenticate(the_app().pk, secret) is None
    assert "This app is disabled" in browser.get(page_of(the_app())).text

    act(browser, "enabled", enabled="yes")
    assert is_valid(secret)


def test_each_change_is_in_the_history_and_mailed_to_every_superuser(browser: Browser) -> None:
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
    assert set(rows.values_list("actor", flat=True)) == {"carol"}


def test_add_client_registers_an_app_with_all_that_its_options_say(settings: Any) -> None:
    origin = settings.AUTHSITE.origin
    answer = add(
        *("Wiki", "--redirect-uri", f"{APP}/a", f"{APP}/b", "--first-party", "--audience", origin),
        *("--scope", "openid", "profile:read", "--post-logout-uri", f"{APP}/bye", "--dpop"),
    )

    app = the_app()
    assert answer["client_id"] == app.pk
    assert is_valid(answer["client_secret"])
    assert (app.name, app.redirect_uris, app.logout_uris) == (
        "Wiki",
        [f"{APP}/a", f"{APP}/b"],
        [f"{APP}/bye"],
    )
    assert (app.scope, app.audiences) == ("openid profile:read", [origin])
    assert (app.is_first_party, app.is_public, app.requires_dpop) == (True, False, True)


def test_add_client_says_what_people_need_and_in_which_group_they_must_be() -> None:
    group = Group.objects.create(name="Editors")

    add("Wiki", "--redirect-uri", WEB, "--require", "passkey", "--group", "Editors")

    assert (the_app().factor, the_app().required_group) == ("passkey", group)


def test_add_client_registers_an_app_for_devices_without_redirect_uris() -> None:
    add("Terminal", "--device", "--public")

    assert (the_app().is_device, the_app().redirect_uris) == (True, [])


def test_add_client_gives_a_public_app_no_secret_and_standard_scopes() -> None:
    answer = add("Cli", "--redirect-uri", "http://127.0.0.1/", "--public")

    assert answer == {"client_id": the_app().pk}
    assert the_app().scope == "openid profile email"


@pytest.mark.parametrize(
    "arguments",
    [
        ["Wiki"],
        ["Wiki", "--redirect-uri", "http://127.0.0.1/"],
        ["Wiki", "--redirect-uri", WEB, "--scope", "admin:write"],
        ["Wiki", "--redirect-uri", WEB, "--group", "Editors"],
        ["Wiki", "--redirect-uri", WEB, "--require", "password"],
        ["Wiki", "--redirect-uri", WEB, "--audience", "https://other.example.org"],
        ["W" * 61, "--redirect-uri", WEB],
        ["Wi\nki", "--redirect-uri", WEB],
    ],
)
def test_add_client_refuses_what_the_form_refuses(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        add(*arguments)
    assert not Client.objects.exists()


def test_commands_make_new_secrets_and_disable_an_app() -> None:
    first = add("Wiki", "--redirect-uri", WEB)["client_secret"]
    app = the_app().pk

    second = run("rotate_client_secret", app)
    assert second["client_id"] == app
    assert is_valid(first)
    third = run("rotate_client_secret", app, "--now")["client_secret"]
    valid = [is_valid(secret) for secret in (first, second["client_secret"], third)]
    assert valid == [False, False, True]

    for _ in range(2):
        assert run("disable_client", app) == {"client_id": app, "disabled": True}
    assert not is_valid(third)


def test_commands_print_a_line_for_each_value_and_refuse_unknown_apps() -> None:
    output = io.StringIO()
    call_command("add_client", "Wiki", "--redirect-uri", WEB, stdout=output)
    lines = dict(line.split(": ") for line in output.getvalue().splitlines())
    assert lines["client_id"] == the_app().pk
    assert is_valid(lines["client_secret"])

    Client.objects.update(is_public=True)
    for arguments in (["disable_client", "x\0"], ["rotate_client_secret", the_app().pk]):
        with pytest.raises(CommandError):
            call_command(*arguments)
