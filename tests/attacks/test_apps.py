"""Attacks on apps, which OAuth calls clients: by staff, with old pages, and on their secrets."""

from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common.key_text import _checksum
from accounts.oauth.clients import services as clients
from accounts.oauth.models import Client, ClientSecret
from tests.support.administration import desk
from tests.support.api_input import storable
from tests.support.apps import (
    ADD,
    FORM,
    LIST,
    WEB,
    act,
    change,
    page_of,
    register,
    shown_secret,
    the_app,
)
from tests.support.clock import Clock
from tests.support.invitations import staff_with, superuser

pytestmark = pytest.mark.django_db

ODD_KEYS = (
    r'{"keys": [{"kty": "EC", "x": "\ud800"}]}',
    '{"keys": ' + "[" * 5000 + "]" * 5000 + "}",
)


def app(name: str = "Paperless") -> tuple[Client, str]:
    """Register an app in the service; return it and its secret."""
    client = Client(name=name, redirect_uris=[WEB])
    return client, clients.create(client, Actor(name="@operator"))


def everything() -> str:
    return serializers.serialize("json", [*Client.objects.all(), *ClientSecret.objects.all()])


def posts_refused(browser: Browser) -> None:
    """Check that no form about apps does anything for this browser."""
    before = everything()
    assert register(browser).status_code == 403
    assert change(browser, name="Wiki").status_code == 403
    for name in ("secret", "enabled"):
        assert act(browser, name, enabled="no").status_code == 403
    assert everything() == before


@pytest.mark.parametrize("role", ["Auditor", "Support", "Manager"])
def test_no_role_below_superuser_sees_or_changes_apps(role: str) -> None:
    app()
    browser = desk(role)

    for path in (LIST, ADD, page_of(the_app())):
        assert browser.get(path).status_code == 403
    posts_refused(browser)


def test_staff_who_may_only_see_apps_change_nothing_and_see_no_form() -> None:
    app()
    browser = staff_with("view_client", "help_user")[1]

    page = browser.get(page_of(the_app()))

    assert WEB in page.text
    assert "Make a new secret" not in page.text
    assert "Disable the app" not in page.text
    posts_refused(browser)


def test_staff_who_may_register_apps_cannot_change_those_of_others() -> None:
    before, _secret = app()
    browser = staff_with("add_client")[1]

    assert change(browser, name="Wiki").status_code == 403
    assert act(browser, "secret").status_code == 403
    assert shown_secret(register(browser))
    assert Client.objects.exclude(pk=before.pk).get().name == FORM["name"]


def test_in_a_browser_left_open_nobody_gets_a_secret_or_changes_an_app(clock: Clock) -> None:
    app()
    browser = superuser()[1]
    clock.advance(minutes=11)
    before = everything()

    answers = [register(browser), change(browser, name="Wiki")]
    answers += [act(browser, name, enabled="no") for name in ("secret", "enabled")]

    assert {a.url.partition("?")[0] for a in answers} == {"/accounts/reauthenticate/"}
    assert everything() == before


def test_a_link_makes_no_secret_and_disables_nothing() -> None:
    app()
    browser = superuser()[1]
    before = everything()

    for name in ("secret", "enabled"):
        assert browser.get(f"{LIST}{the_app().pk}/{name}/?enabled=no&now=on").status_code == 405

    assert everything() == before


def test_an_old_page_cannot_bring_back_a_removed_redirect_uri() -> None:
    app()
    browser, other = superuser()[1], superuser("dave")[1]
    old = browser.get(page_of(the_app())).context["adminform"].form
    change(other, redirect_uris=f"{WEB}/new")

    answer = change(browser, name="Wiki", seen=old.seen)

    assert "Somebody else has changed this app meanwhile" in answer.text
    assert (the_app().name, the_app().redirect_uris) == (FORM["name"], [f"{WEB}/new"])


def test_a_change_does_not_enable_an_app_that_is_disabled_at_the_same_moment() -> None:
    read_before, secret = app()
    clients.set_enabled(the_app(), Actor(), enabled=False)

    read_before.name = "Wiki"
    clients.change(read_before, ["name"], Actor())

    assert the_app().name == "Wiki"
    assert clients.authenticate(the_app().pk, secret) is None


def test_admin_filters_do_not_reveal_the_digest_of_a_secret() -> None:
    app()
    browser = superuser()[1]

    of_secrets = ("client_secrets__digest__startswith", "client_secrets__isnull")
    for lookup in (*of_secrets, "name__regex", "scope"):
        assert browser.get(LIST, {lookup: "a"}).status_code == 400, lookup


def test_malformed_ids_and_texts_in_the_admin_cause_no_server_error() -> None:
    browser = superuser()[1]

    with connection.execute_wrapper(storable):
        for path in ("%00/change/", "%00/secret/", "%ED%A0%80/change/", f"{'a' * 1000}/change/"):
            for answer in (browser.get(f"{LIST}{path}"), browser.post(f"{LIST}{path}", FORM)):
                assert 300 <= answer.status_code < 500, path
        for name in ("secret", "enabled"):
            assert browser.post(f"{LIST}nowhere/{name}/").status_code == 404
        for field in ("name", "redirect_uris", "scope", "homepage", "required_group", "factor"):
            assert register(browser, **{field: "\0"}).status_code == 200
        for keys in ("[" * 100_000, "9" * 5000, *ODD_KEYS):
            assert register(browser, jwks=keys).status_code == 200
        assert browser.get(LIST, {"q": "\0"}).status_code < 500
    assert not Client.objects.exists()


def test_what_is_stored_of_a_secret_cannot_be_used_as_a_secret() -> None:
    client, secret = app()
    row = ClientSecret.objects.get()

    assert secret not in everything()
    assert secret[32:64] not in everything()
    for shown in (row.pk, row.digest, f"authsite_client_{row.digest[:55]}"):
        assert clients.authenticate(client.pk, shown) is None


def test_a_secret_works_only_whole_and_with_its_own_app(django_assert_num_queries: Any) -> None:
    client, secret = app()
    other, other_secret = app("Wiki")

    assert clients.authenticate(client.pk, secret) == client
    with django_assert_num_queries(2):
        assert clients.authenticate(other.pk, secret) is None
        assert clients.authenticate(client.pk, other_secret) is None
    with django_assert_num_queries(0):
        cut = (secret[:-1], secret[1:], secret.upper(), f"{secret} ", f"{secret}\n", f"{secret}\0")
        wrong = secret[:40] + ("b" if secret[40] == "a" else "a") + secret[41:]
        for text in (*cut, wrong, "", "authsite_" + secret[16:], other_secret[:32] + secret[32:]):
            assert clients.authenticate(client.pk, text) is None, text


def test_a_right_checksum_does_not_make_up_for_a_wrong_secret() -> None:
    client, secret = app()
    body = secret[:32] + secret[32:64][::-1]
    forged = body + _checksum(body)

    assert forged != secret
    assert clients.authenticate(client.pk, forged) is None
