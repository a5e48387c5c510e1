"""Attacks by apps that register themselves, and on apps that staff register."""

import json

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection

from accounts.activity.services import Actor
from accounts.common.secrets import REGISTRATION as TEXT
from accounts.common.secrets import _checksum
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client, ClientSecret, RegistrationToken
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
from tests.support.authorize import begin
from tests.support.invitations import staff_with, superuser
from tests.support.oauth_client import new_app
from tests.support.registration import REGISTER, VALID, new_token, self_register
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

TOKENS = "/admin/oauth/registrationtoken/"
SERVICE = "https://wiki.example.org"

JUNK = (
    *(b"", b"\0", b"{", b"[]", b"null", b"1e999", b'"\\ud800"', b"\xff\xfe", b"9" * 5000),
    b"[" * 60_000,
    b'{"client_name": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    b"x" * 70_000,
)


def test_only_the_whole_text_of_a_token_registers_an_app():
    """Withstands a malicious app."""
    first, second = new_token(), new_token()
    row = RegistrationToken.objects.get(pk=TEXT.id_of(first))
    body = first[:34] + first[34:66][::-1]
    forged = body + _checksum(body)

    assert first[34:] not in serializers.serialize("json", RegistrationToken.objects.all())
    cut = (first[:-1], first.upper(), f"{first}x")
    for text in (first[:34] + second[34:], forged, new_app().secret, row.digest, *cut):
        assert self_register(text).status_code == 401
    assert self_register(first).status_code == 201


def test_an_app_gets_no_more_than_its_token_grants_whatever_it_says():
    """Withstands a malicious app."""
    wanted = {"client_id": "chosen", "client_secret": "chosen", "is_first_party": True}

    given = self_register(new_token(scope="email"), scope="openid email groups", **wanted).json()

    assert (the_app().scope, the_app().source) == ("openid email", "registration")
    assert "chosen" not in {given["client_id"], given["client_secret"]}
    page = begin(signed_in(make_user("alice")), the_app())
    assert 'value="allow"' in page.text


def test_no_body_causes_a_server_error_or_uses_the_token_up():
    """Withstands a hostile client."""
    text = new_token()

    answers = [self_register(text, body) for body in (*JUNK, b"{}")]

    assert {answer.status_code for answer in answers} == {400, 413}
    assert self_register(text).status_code == 201


def test_a_token_grants_no_audience_that_was_removed_from_the_settings(settings):
    set_up(settings, token_audiences=(SERVICE,))
    text = new_token(audiences=(SERVICE,))
    set_up(settings, token_audiences=())

    assert self_register(text).status_code == 201
    assert the_app().audiences == []


def test_an_app_with_pairwise_identifiers_gets_no_audience_of_its_token(settings):
    text = new_token(audiences=(settings.AUTHSITE.origin,))

    given = self_register(text, subject_type="pairwise").json()

    assert (given["subject_type"], the_app().audiences) == ("pairwise", [])


def test_a_flood_of_wrong_tokens_is_limited_and_never_stops_a_right_one():
    """Withstands a flood."""
    wrong = TEXT.make().text

    statuses = {self_register(wrong).status_code for _ in range(70)}

    assert statuses == {401, 429}
    assert self_register(new_token()).status_code == 201


def test_a_token_counts_only_in_the_header_and_no_cookie_replaces_it():
    browser, text = superuser()[1], new_token()
    body = json.dumps(VALID | {"access_token": text})

    for path in (f"{REGISTER}?access_token={text}", REGISTER):
        answer = browser.post(path, body, content_type="application/json")
        assert answer.status_code in {400, 401}
    assert not Client.objects.exists()


def test_only_superusers_see_and_revoke_tokens(clock):
    """Withstands a member of staff."""
    text = new_token()
    form = f"{TOKENS}{TEXT.id_of(text)}/delete/"
    root = superuser("dave")[1]

    manager = desk("Manager")
    answers = [manager.get(TOKENS), manager.get(form), manager.post(form)]
    assert {answer.status_code for answer in answers} == {403}
    root.get(form)
    for odd in ("%00", "x" * 1000):
        assert root.post(f"{TOKENS}{odd}/delete/").status_code < 500
    clock.advance(minutes=11)
    assert "/accounts/reauthenticate/" in root.post(form).url
    assert self_register(text).status_code == 201


def test_a_restored_backup_brings_no_token_back():
    text = new_token()

    call_command("after_restore", "--no-deletions", verbosity=0)

    assert self_register(text).status_code == 401


DEEP = "[" * 5000 + "]" * 5000
ODD_KEYS = (r'{"keys": [{"kty": "EC", "x": "\ud800"}]}', f'{{"keys": {DEEP}}}')


def everything():
    return serializers.serialize("json", [*Client.objects.all(), *ClientSecret.objects.all()])


def posts_refused(browser):
    """Check that no form about apps does anything for this browser."""
    before = everything()
    assert register(browser).status_code == 403
    assert change(browser, name="Wiki").status_code == 403
    for name in ("secret", "enabled"):
        assert act(browser, name, enabled="no").status_code == 403
    assert everything() == before


@pytest.mark.parametrize("role", ["Auditor", "Support", "Manager"])
def test_no_role_below_superuser_sees_or_changes_apps(role):
    """Withstands a member of staff."""
    new_app()
    browser = desk(role)

    for path in (LIST, ADD, page_of(the_app())):
        assert browser.get(path).status_code == 403
    posts_refused(browser)


def test_staff_who_may_only_see_apps_change_nothing_and_see_no_form():
    new_app()
    browser = staff_with("view_client", "help_user")[1]

    page = browser.get(page_of(the_app()))

    assert WEB in page.text
    assert "Make a new secret" not in page.text
    assert "Disable the app" not in page.text
    posts_refused(browser)


def test_staff_who_may_register_apps_cannot_change_those_of_others():
    before = new_app().client
    browser = staff_with("add_client")[1]

    assert change(browser, name="Wiki").status_code == 403
    assert act(browser, "secret").status_code == 403
    assert shown_secret(register(browser))
    assert Client.objects.exclude(pk=before.pk).get().name == FORM["name"]


def test_in_a_browser_left_open_nobody_gets_a_secret_or_changes_an_app(clock):
    """Withstands a thief with a cookie."""
    new_app()
    browser = superuser()[1]
    clock.advance(minutes=11)
    before = everything()

    answers = [register(browser), change(browser, name="Wiki")]
    answers += [act(browser, name, enabled="no") for name in ("secret", "enabled")]

    assert {a.url.partition("?")[0] for a in answers} == {"/accounts/reauthenticate/"}
    assert everything() == before


def test_a_link_makes_no_secret_and_disables_nothing():
    """Withstands a hostile website."""
    new_app()
    browser = superuser()[1]
    before = everything()

    for name in ("secret", "enabled"):
        assert browser.get(f"{LIST}{the_app().pk}/{name}/?enabled=no&now=on").status_code == 405

    assert everything() == before


def test_an_old_page_cannot_bring_back_a_removed_redirect_uri():
    """Withstands a member of staff."""
    new_app()
    browser, other = superuser()[1], superuser("dave")[1]
    old = browser.get(page_of(the_app())).context["adminform"].form
    change(other, redirect_uris=f"{WEB}/new")

    answer = change(browser, name="Wiki", seen=old.seen)

    assert "Somebody else has changed this app meanwhile" in answer.text
    assert (the_app().name, the_app().redirect_uris) == (FORM["name"], [f"{WEB}/new"])


def test_a_change_does_not_enable_an_app_that_is_disabled_at_the_same_moment():
    app = new_app()
    clients.set_enabled(the_app(), Actor(), enabled=False)

    app.client.name = "Wiki"
    clients.change(app.client, ["name"], Actor())

    app.client.redirect_uris = []
    with pytest.raises(ValidationError):
        clients.change(app.client, ["redirect_uris"], Actor())
    assert (the_app().name, the_app().redirect_uris) == ("Wiki", [WEB])
    assert clients.authenticate(the_app().pk, app.secret) is None


def test_admin_filters_do_not_reveal_the_digest_of_a_secret():
    """Withstands a thief with the database."""
    new_app()
    browser = superuser()[1]

    of_secrets = ("client_secrets__digest__startswith", "client_secrets__isnull")
    for lookup in (*of_secrets, "name__regex", "scope"):
        assert browser.get(LIST, {lookup: "a"}).status_code == 400, lookup


def test_malformed_ids_and_texts_in_the_admin_cause_no_server_error():
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


def test_only_the_whole_text_of_its_own_secret_authenticates_an_app(django_assert_num_queries):
    """Withstands a guesser."""
    app, other_secret = new_app(), new_app("Wiki").secret
    client, secret = app.client, app.secret
    digest, body = client.client_secrets.get().digest, secret[:32] + secret[32:64][::-1]
    forged = body + _checksum(body)
    assert secret[32:64] not in everything()
    assert clients.authenticate(client.pk, secret) == client

    for text in (other_secret, forged, digest, f"authsite_client_{digest[:55]}"):
        assert clients.authenticate(client.pk, text) is None, text
    with django_assert_num_queries(0):
        for text in (secret[:-1], secret.upper(), f"{secret} ", f"{secret}\0", secret[:40] + "01"):
            assert clients.authenticate(client.pk, text) is None, text
