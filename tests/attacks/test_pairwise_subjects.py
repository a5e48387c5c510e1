"""Apps compare their people, or lose them: pairwise subjects (OpenID Connect Core section 8.1)."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import connection

from accounts.oauth import codes, connections
from accounts.oauth.models import Client, PairwiseSubject
from accounts.oauth.protocol import OAuthError
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import call, claims_of
from tests.support.apps import WEB, add, change, connect_app, document, register, the_app
from tests.support.authorize import begin, result
from tests.support.invitations import superuser
from tests.support.logout import send_all
from tests.support.oauth_client import HERE, VERIFIER, App, browser_of, new_app
from tests.support.receiver import Receiver
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

SECTOR = "shop.example.org"
IDENTIFIERS = ("sub", "sid", "jti")


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


def told(app: App, browser: LoginSession) -> list[dict[str, Any]]:
    """Return everything that ``app`` gets to know of the user of ``browser`` by its tokens."""
    given = app.sign_in(browser, "openid offline_access")
    again = app.refresh(given["refresh_token"])
    userinfo = app.browser.get(
        "/oauth/userinfo", headers={"Authorization": f"Bearer {again['access_token']}"}
    )
    return [
        *(claims_of(given[name]) for name in ("id_token", "access_token")),
        claims_of(again["access_token"]),
        json.loads(userinfo.content),
        *(app.introspect(again[name]).body for name in ("access_token", "refresh_token")),
    ]


def test_apps_of_different_sectors_get_nothing_by_which_they_can_compare_people(
    alice: User, receiver: Receiver
) -> None:
    browser, bob = browser_of(alice), make_user("bob")
    known: dict[str, list[dict[str, Any]]] = {}
    for name, sector in (("Shop", SECTOR), ("Wiki", "wiki.example.org"), ("Blog", SECTOR)):
        uri = receiver.url(f"/{name}")
        fields = {"backchannel_logout_uri": uri, "backchannel_logout_is_private": True}
        app = new_app(name, "openid offline_access", sector=sector, **fields)
        known[name] = told(app, browser)
        assert told(app, browser_of(alice))[0]["sub"] == known[name][0]["sub"]
        assert told(app, browser_of(bob))[0]["sub"] != known[name][0]["sub"]

    # Logout tokens are sent even after the account is deleted.
    for session in alice.login_sessions.filter(kind="connected"):
        sessions.revoke(session)
    ids = {str(alice.pk), str(bob.pk)}
    alice.delete()
    send_all()
    for name, facts in known.items():
        facts += [claims_of(token) for token in receiver.tokens(f"/{name}")]
        assert len(facts) == 8
        assert len({fact["sub"] for fact in facts}) == 1
        assert not any(text in json.dumps(facts) for text in ids)

    shop, wiki, blog = (
        {fact[name] for fact in facts for name in IDENTIFIERS if name in fact}
        for facts in known.values()
    )
    assert shop.isdisjoint(wiki)
    assert shop & blog == {known["Shop"][0]["sub"]}
    assert PairwiseSubject.objects.values_list("user", flat=True).distinct().get() == bob.pk


def test_no_app_learns_identifiers_by_an_api_as_a_service_or_in_a_sector_of_others(
    settings: Any, alice: User
) -> None:
    set_up(settings, token_audiences=("https://api.example.org",))
    for wrong in (
        {"scope": "openid profile:read"},
        {"audiences": [settings.AUTHSITE.origin]},
        {"audiences": ["https://api.example.org"]},
        {"resource": "https://api.example.org"},
    ):
        with pytest.raises(ValidationError, match="can’t use an API or be a service"):
            new_app(sector=SECTOR, **wrong)

    for source in (Client.Source.DOCUMENT, Client.Source.REGISTRATION):
        new_app(sector="paperless.example.org", source=source)
        for taken in ({"sector": SECTOR}, {"sector": "paperless.example.org", "is_device": True}):
            with pytest.raises(ValidationError, match="Only an app that an operator"):
                new_app(source=source, **taken)

    access = new_app(sector=SECTOR).sign_in(browser_of(alice))["access_token"]
    for path in ("me/", "sessions/", "apps/"):
        assert call(path, token=access).code == "insufficient_scope"


def test_an_id_token_hint_names_the_person_by_the_pairwise_identifier(alice: User) -> None:
    app = new_app(scope="openid email", sector=SECTOR, is_first_party=True)
    hint = app.sign_in(browser_of(alice), "openid")["id_token"]
    asked = {"id_token_hint": hint, "prompt": "none"}

    assert "code" in result(begin(signed_in(alice), app.client, **asked))
    # The app does not know bob yet, then it does.
    bob = make_user("bob")
    for _time in range(2):
        answer = result(begin(signed_in(bob), app.client, **asked))
        assert answer["error"] == "login_required"
        app.sign_in(browser_of(bob), "openid")


def test_identifiers_cannot_change_once_people_use_the_app(alice: User) -> None:
    carol = superuser()[1]
    register(carol)
    change(carol, sector="www.example.org")
    change(carol, sector=SECTOR)
    assert the_app().sector == SECTOR
    connect_app(browser_of(alice), the_app())

    for sector in ("", "www.example.org"):
        assert (
            "people use the app, and it wouldn’t recognize them"
            in change(carol, sector=sector).text
        )
    assert change(carol, name="Shop", sector=SECTOR).status_code == 302

    assert (the_app().name, the_app().sector) == ("Shop", SECTOR)


def test_two_sign_ins_at_the_same_time_get_the_same_identifier(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_app(sector=SECTOR).client
    first = connections.make_pairwise(client, alice)
    find, answers = connections._pairwise, [None]

    # The other request inserts its row just after this one has found none.
    monkeypatch.setattr(
        connections, "_pairwise", lambda *given: answers.pop() if answers else find(*given)
    )

    assert connections.make_pairwise(client, alice) == first
    assert not answers


def test_a_code_of_an_account_that_is_deleted_meanwhile_leaves_no_identifier(alice: User) -> None:
    app = new_app(sector=SECTOR)
    code = app.code(browser_of(alice))
    held = codes.get_code(code, app.client, WEB, VERIFIER)
    alice.delete()

    with pytest.raises(OAuthError):
        codes.redeem(held, HERE)

    connection.check_constraints()


def test_the_command_takes_the_sector_from_the_redirect_uris() -> None:
    elsewhere = "https://www.example.org/callback"
    for name, words, sector in (
        ("Shop", [WEB.replace(".org/", ".org:8443/"), WEB, "--pairwise"], "paperless.example.org"),
        ("Wiki", [WEB, elsewhere, "--pairwise", "--sector", SECTOR], SECTOR),
        ("Blog", [WEB], ""),
    ):
        add(name, "--redirect-uri", *words)
        assert Client.objects.get(name=name).sector == sector
    for wrong in ([WEB, elsewhere], ["org.example.app:/x", "--public"], [WEB, "--sector", "A:1"]):
        with pytest.raises(CommandError, match="host"):
            add("App", "--pairwise", "--redirect-uri", *wrong)
    assert document()["subject_types_supported"] == ["public", "pairwise"]
