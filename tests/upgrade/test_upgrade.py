"""A database of each release is migrated, and what its people hold goes on working."""

import re
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from webauthn.helpers import base64url_to_bytes

from accounts.twofactor.models import totp_of
from tests.support import dumps
from tests.support.administration import REASON
from tests.support.api import is_good, renew, second_step
from tests.support.api_jwt import basic
from tests.support.devices import PAGE
from tests.support.disputes import NEW, RESET
from tests.support.inject import Injected
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.second_factor import CHALLENGE
from tests.support.site import Site, text_of
from tests.support.steps import LOGIN, PASSWORD, code_in, sign_in, sql
from tests.support.webauthn import LOGIN_PASSKEY, Passkey, options_on

# The clock of the upgraded site stands so long after the release.
LATER_SECONDS = 60
EMAIL = "/accounts/email/"


@pytest.fixture(scope="module", params=POSTGRES_PROVED)
def engine(request):
    return request.param


@pytest.fixture(scope="module", params=dumps.VERSIONS)
def upgraded(request, engine, tmp_path_factory):
    """Restore and migrate the database of a release; return it, what people hold, and the clock."""
    folder, hook = tmp_path_factory.mktemp("data"), Injected(tmp_path_factory.mktemp("clock"))
    env = database(request, engine)
    target = env.get("DATABASE_URL") or folder / "db.sqlite3"
    kept = dumps.restore(request.param, engine, target)
    hook.advance(seconds=(now(kept) - datetime.now(UTC)).total_seconds())
    env |= {name: kept[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "ORIGIN")} | hook.env
    site = Site(data_dir=folder, migrate=False, **env)
    site.manage("migrate", "--verbosity", "0")
    with site:
        yield site, kept, hook


def now(kept):
    """Return the time at the upgraded site."""
    return datetime.fromisoformat(kept["at"]) + timedelta(seconds=LATER_SECONDS)


def code(kept, name):
    """Return the code that the authenticator app of ``name`` shows."""
    totp = totp_of(kept[name]["seed"])
    totp.time = now(kept).timestamp()
    return f"{totp.token():06d}"


def browser_with(site, cookies):
    browser = site.client()
    browser.cookies = dict(SimpleCookie(cookies))
    return browser


def link_in(site, to, subject):
    """Return the path of the link that was waiting in an email."""
    text = text_of(site.wait_for_mail(to=to, subject=subject))
    return re.findall(r"(?m)^http://localhost:8000(/\S+/)$", text)[0]


def test_sessions_tokens_and_keys_stay_valid(upgraded):
    site, kept, _clock = upgraded
    alice = kept["alice"]

    assert browser_with(site, alice["browser"]).get("/").status == 200
    assert is_good(alice["tokens"]["access"], site.client())
    assert is_good(alice["key"], site.client())
    assert renew(alice["tokens"]["refresh"], site.client()).status == 200


def test_each_second_factor_works(upgraded):
    site, kept, _clock = upgraded
    alice = kept["alice"]
    with_code, with_passkey = site.client(), site.client()
    trusting = browser_with(site, {"trusted": alice["trusting"]["trusted"]})
    passkey = Passkey(credential_id=base64url_to_bytes(alice["passkey"]["id"]))
    passkey.key = load_pem_private_key(alice["passkey"]["key"].encode(), None)

    assert second_step(alice["challenge"], code(kept, "alice"), site.client()).status == 200
    assert sign_in(with_code, "alice.b").location == CHALLENGE
    assert with_code.post(CHALLENGE, {"code": alice["codes"][0]}).location == "/"
    answer = passkey.get(options_on(with_passkey.get(LOGIN).text), origin=site.origin)
    assert with_passkey.post(LOGIN_PASSKEY, {"credential": answer}, form=LOGIN).location == "/"
    assert sign_in(trusting, "alice.b").location == "/"


def test_emails_that_waited_are_sent_and_their_links_work(upgraded):
    site, kept, _clock = upgraded
    reset, invited, pending = site.client(), site.client(), site.client()
    alice = browser_with(site, kept["alice"]["browser"])

    typed = code_in(site.wait_for_mail(to="alice@second.example"))
    ((row,),) = sql(site, "SELECT id FROM accounts_pendingemail")
    assert alice.post(EMAIL, {"confirm": row, "code": typed}).status == 302
    assert sql(site, "SELECT 1 FROM accounts_emailaddress WHERE email = 'alice@second.example'")
    link = link_in(site, "bob@", "Set a new password")
    assert reset.post(link, {"password1": NEW}).location.startswith(LOGIN)
    assert sign_in(site.client(), "bob", NEW).location == "/"
    link = link_in(site, "invited@", "invited")
    assert invited.post(link, {"username": "invited", "password1": PASSWORD}).location == "/"
    link = link_in(site, "pending@", "your code")
    assert pending.post(link, {"password": PASSWORD}).location == "/"


def test_a_locked_account_is_opened_with_its_password_and_second_factor(upgraded):
    site, kept, _clock = upgraded
    browser = site.client()

    page = browser.get(sign_in(browser, "locked").location).location
    browser.post(page, {"code": code(kept, "locked")})
    browser.post(page, {"password1": NEW})

    assert sign_in(site.client(), "locked", NEW).location == CHALLENGE


def test_apps_go_on_and_a_code_of_a_device_is_typed_in(upgraded):
    site, kept, _clock = upgraded
    app, device = kept["app"], kept["device"]
    browser = browser_with(site, kept["alice"]["browser"])

    form = {"grant_type": "refresh_token", "refresh_token": app["refresh_token"]}
    secret = {"Authorization": basic(app["id"], app["secret"])}
    bearer = {"Authorization": f"Bearer {app['access_token']}"}
    assert site.client().get("/oauth/userinfo", headers=bearer).json()["name"] == "carol"
    assert site.client().post("/oauth/token", form, csrf=False, headers=secret).status == 200
    asked = browser.post(PAGE, {"user_code": device["user_code"]})
    assert "Terminal" in browser.get(asked.location).text


def test_staff_read_what_they_did(upgraded):
    site, kept, _clock = upgraded
    browser = site.client()
    ((bob,),) = sql(site, "SELECT id FROM accounts_user WHERE username = 'bob'")

    sign_in(browser, "carol")
    assert browser.post(CHALLENGE, {"code": code(kept, "carol")}).location == "/"
    assert REASON in browser.get(f"/admin/accounts/user/{UUID(str(bob))}/change/").text


def test_a_wait_that_began_before_ends_when_it_is_due(upgraded):
    site, _kept, clock = upgraded
    factors = "SELECT 1 FROM accounts_authenticator a JOIN accounts_user u ON u.id = a.user_id "
    factors += "WHERE u.username = 'waiting'"

    clock.advance(days=3)
    site.client().post(RESET, {"login": "waiting"})
    site.wait_for_mail(to="waiting@", subject="Set a new password", count=2)
    assert sql(site, factors)
    site.client().post(link_in(site, "waiting@", "Set a new password"), {"lost": "finish"})

    assert not sql(site, factors)
