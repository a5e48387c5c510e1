"""Attacks on the rights of tokens and API keys, and on the API for staff."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.activity.models import Activity
from accounts.apikeys.models import APIKey
from accounts.sessions.models import LoginSession
from accounts.tokens.scopes import SCOPES
from accounts.users.models import User
from tests.support.administration import REASON, member, staff_calls, staff_token
from tests.support.api import call, claims_of, exchange, get_tokens, is_good, renew
from tests.support.api_keys import (
    FORM,
    KEYS,
    NEW,
    change_password,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
    shown_key,
)
from tests.support.routes import ROUTES
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import make_user, outbox, sign_in

TOO_LITTLE = (403, "insufficient_scope")
NOT_FRESH = (401, "insufficient_user_authentication")


def staff(role="Support", username="carol", **options):
    """Return a token of a new member of staff with ``role``."""
    enrolled(member(username, role))
    return staff_token(username, **options)


@proves("V10.3.4")
def test_the_staff_api_needs_a_second_factor_of_the_last_ten_minutes(clock, settings):
    """Withstands a thief with a token."""
    set_up(settings, second_factor="off", access_token_seconds=3600)
    alice = make_user("alice")
    member("dave", "Support")
    one_step = get_tokens("dave", scope="admin:read admin:write")["access"]
    assert {answer.short for answer in staff_calls(one_step, alice)} == {NOT_FRESH}

    token = staff()
    clock.advance(minutes=10)
    assert call("admin/users/", token=token).status == 200
    clock.advance(seconds=1)
    assert {answer.short for answer in staff_calls(token, alice)} == {NOT_FRESH}
    assert User.objects.get(pk=alice.pk).is_active


def test_each_call_needs_its_scope_and_read_and_write_do_not_include_it():
    alice = make_user("alice")
    enrolled(member("carol", "Support"))

    for scope, opened in (("read write users:read", []), ("admin:read", [200, 200])):
        answers = staff_calls(staff_token("carol", scope), alice)
        assert [answer.status for answer in answers if answer.status == 200] == opened
        assert answers[-1].short == TOO_LITTLE
    assert User.objects.get(pk=alice.pk).is_active


def test_people_without_a_role_and_auditors_cannot_act():
    """Withstands a member of staff."""
    alice, mallory = make_user("alice"), make_user("mallory")
    enrolled(mallory)

    for answer in staff_calls(staff_token("mallory"), alice):
        assert answer.short == (403, "not_in_role")
    read, shown, acted = staff_calls(staff("Auditor"), alice)
    assert (read.status, shown.status, shown["acts"]) == (200, 200, [])
    assert acted.short == (403, "not_in_role")


@pytest.mark.parametrize(
    "fields",
    [{"reason": ""}, {"reason": " "}, {"reason": "a" * 501}, {"reason": None}, {"reason": 5},
     {"target": "x"}, {"mode": "later"}, {"mode": "wait"}, {"force": True}],
    ids=str,
)  # fmt: skip
def test_a_malformed_act_is_refused_by_the_name_of_its_field(fields):
    alice, token = make_user("alice"), staff()

    path = f"admin/users/{alice.pk}/deactivate/"
    answer = call(path, {"reason": REASON} | fields, token=token)

    assert (answer.status, answer.fields) == (400, list(fields))
    assert User.objects.get(pk=alice.pk).is_active
    assert call(path, {}, token=token).status == 400


@proves("V8.2.3", "V15.3.1")
def test_no_answer_of_the_staff_api_contains_a_secret():
    alice, token = make_user("alice"), staff()
    seed, key, browser = enrolled(alice), key_of(alice), signed_in(alice)
    path = f"admin/users/{alice.pk}/"
    answers = [call(path, token=token), call(f"{path}send-reset/", {"reason": REASON}, token=token)]
    answers += [call(f"{path}{part}/", token=token) for part in ("details", "activity")]
    assert [answer.status for answer in answers] == [200] * 4
    link = next(mail.action_url for mail in outbox() if "/password/reset/" in mail.action_url)

    secrets = (seed, key, browser.cookies["sessionid"].value, link.split("/")[-2], alice.password)
    for secret in secrets:
        assert not any(secret in str(answer.body) for answer in answers)


FRESH_HEADER = 'Bearer error="insufficient_user_authentication", max_age="600"'

# The scopes with which a key may call each endpoint; None: no key may.
CALLS: dict[tuple[str, str], set[str] | None] = {
    ("GET", "users/<uuid:id>/"): {"read", "profile:read"},
    ("GET", "me/"): {"read", "profile:read"},
    ("GET", "emails/"): {"read", "credentials:read"},
    ("GET", "browsers/"): {"read", "sessions:read"},
    ("DELETE", "browsers/<int:id>/"): {"write", "sessions:write"},
    ("GET", "sessions/"): {"read", "sessions:read"},
    ("DELETE", "sessions/<uuid:id>/"): {"write", "sessions:write"},
    ("GET", "apps/"): {"read", "apps:read"},
    ("DELETE", "apps/<path:client_id>/"): {"write", "apps:write"},
    ("GET", "activity/"): {"read", "activity:read"},
    **dict.fromkeys(
        [
            *(("PATCH", "me/"), ("DELETE", "me/"), ("POST", "me/username/")),
            *(("POST", "me/exports/"), ("GET", "me/exports/<uuid:id>/")),
            *(("GET", "factors/"), ("PATCH", "factors/")),
            *(("POST", "factors/totp/setup/"), ("POST", "factors/totp/")),
            *(("PATCH", "factors/totp/<int:id>/"), ("DELETE", "factors/totp/<int:id>/")),
            *(("POST", "factors/recovery-codes/"), ("POST", "factors/recovery-codes/saved/")),
            *(("DELETE", "factors/trusted/"), ("DELETE", "factors/trusted/<int:id>/")),
            *(("GET", "providers/"), ("DELETE", "providers/<int:id>/")),
            *(("POST", "passkeys/registration/"), ("POST", "passkeys/")),
            *(("PATCH", "passkeys/<int:id>/"), ("DELETE", "passkeys/<int:id>/")),
            *(("GET", "reauthenticate/"), ("POST", "reauthenticate/")),
            *(("POST", "emails/"), ("DELETE", "emails/<slug:id>/")),
            *(("POST", "emails/<slug:id>/confirm/"), ("POST", "emails/<slug:id>/primary/")),
            *(("POST", "password/change/"), ("POST", "password/set/")),
            ("POST", "sessions/others/"),
            *(("GET", "admin/users/"), ("POST", "admin/users/"), ("POST", "admin/users/bulk/")),
            *(("GET", "admin/users/<uuid:id>/"), ("PATCH", "admin/users/<uuid:id>/")),
            *(("DELETE", "admin/users/<uuid:id>/"), ("GET", "admin/users/<uuid:id>/details/")),
            *(("GET", "admin/users/<uuid:id>/activity/"), ("GET", "admin/events/")),
            ("POST", "admin/users/<uuid:id>/<slug:act>/"),
            *(("GET", "admin/invitations/"), ("POST", "admin/invitations/")),
            ("DELETE", "admin/invitations/<uuid:id>/"),
            *(("GET", "keys/"), ("POST", "keys/")),
            *(("GET", "keys/<slug:id>/"), ("DELETE", "keys/<slug:id>/")),
        ]
    ),
}


def closed_calls():
    """Yield every endpoint of the URL map that needs credentials."""
    for entry in ROUTES:
        view = getattr(entry.callback, "cls", None)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if view and view.permission_classes and hasattr(view, method.lower()):
                yield method, str(entry.pattern)


@proves("V8.2.1", "V10.3.2")
def test_the_table_lists_every_endpoint_that_needs_credentials():
    """Withstands a programmer's mistake: a new endpoint is open to every key."""
    assert set(closed_calls()) == CALLS.keys()


def test_a_key_opens_only_the_endpoints_of_its_scope():
    """Withstands a thief with a token.

    This includes scopes that no key can be made with.
    """
    alice = make_user("alice")
    get_tokens()
    session, key = LoginSession.objects.get().pk, key_of(alice)
    for (method, route), scopes in CALLS.items():
        end = str(session if "sessions" in route else alice.pk)
        path = route.replace("<uuid:id>", end).replace("<slug:id>", row_of(key).pk)
        path = path.replace("<slug:act>", "deactivate").replace("<int:id>", "1")
        opened = set()
        # No scope opens a call without scopes, so one key has them all.
        for scope in sorted(SCOPES) if scopes else [" ".join(sorted(SCOPES))]:
            APIKey.objects.update(scope=scope)
            answer = call(path, {}, method=method, token=key)
            if scopes is None:
                assert answer.short == NOT_FRESH, route
                assert answer.headers["WWW-Authenticate"] == FRESH_HEADER
            elif answer.short != TOO_LITTLE:
                opened.add(scope)
                # The second request to revoke a session does not find it.
                assert answer.status in {200, 204, 404}, route
        assert opened == (scopes or set()), route
    assert APIKey.objects.count() == 1


REFUSED: list[tuple[str, Any]] = [
    *(("keys:write", "profile:read"), ("keys:write", "read write"), ("write", "read")),
    *(("keys:write profile:read", "profile:read sessions:read"), ("read write", "profile:write")),
    *(("read write", "keys:write"), ("read write", "keys:read"), ("read write groups", "groups")),
    *(("read write", "read write admin"), ("read write", "READ"), ("read write", " ")),
    ("read write", ["read"]),
]


def test_a_key_gets_no_more_scope_than_its_token_has_and_cannot_make_keys():
    """Withstands a thief with a token."""
    row = row_of(key_of(make_user("alice")))
    for held, wanted in REFUSED:
        answer = make(recent_token(scope=held), scope=wanted)
        assert (answer.status, answer.fields) == (400, ["scope"]), (held, wanted)
    assert make(recent_token(scope="keys:write")).status == 400, "the scope that is suggested"
    reader = recent_token(scope="keys:read")
    assert [key["id"] for key in call("keys/", token=reader)["results"]] == [row.pk]
    for answer in (make(reader), call(f"keys/{row.pk}/", method="DELETE", token=reader)):
        assert answer.short == TOO_LITTLE
    assert list(APIKey.objects.all()) == [row]

    made = make(recent_token(scope="read write"), scope="write profile:read")
    assert made["scope"] == "profile:read write"


def test_keys_can_only_be_removed_more_than_ten_minutes_after_authentication(clock):
    """Refreshing the access token does not help: only a new sign-in does."""
    key = key_of(make_user("alice"))
    person = get_tokens()
    for _ in range(2):
        clock.advance(minutes=4)
        person = renew(person["refresh"])
    clock.advance(minutes=2)
    old = person["access"]
    assert call("keys/", token=old).status == 200, "just ten minutes"
    clock.advance(seconds=1)

    path = f"keys/{row_of(key).pk}/"
    for answer in (*map(partial(call, token=old), ("keys/", path)), make(old)):
        assert answer.short == NOT_FRESH
        assert answer.headers["WWW-Authenticate"] == FRESH_HEADER
    assert call("me/", token=old).status == 200
    assert is_alive(key)
    assert call(path, method="DELETE", token=old).status == 204
    assert not is_alive(key)


@proves("V8.2.2")
def test_another_users_key_is_neither_visible_nor_revocable():
    """Withstands another member."""
    alice, mallory = make_user("alice"), make_user("mallory")
    key = key_of(alice, name="mine")
    token, browser = recent_token(name="mallory"), signed_in(mallory)

    for guess in (row_of(key).pk, "a" * 16, "x" * 5000, "-"):
        for method in ("GET", "DELETE"):
            assert call(f"keys/{guess}/", method=method, token=token).status == 404
    for guess in (row_of(key).pk, "", "\0", f"{row_of(key).pk}\0\0x", key[:20]):
        assert browser.post(KEYS, {"end": guess}).status_code == 404
    assert call("keys/", token=token)["results"] == []
    assert "mine" not in browser.get(KEYS).text
    assert is_alive(key)
    assert not mallory.activity.filter(kind="key_ended").exists()


ODD_NAMES = ("", " ", "a\0b", "a\nb", "a\u202eb", "\ud800", "\ue000", "x" * 61, 5, None, ["a"])


def test_an_invalid_name_makes_no_key_and_markup_in_a_name_is_escaped():
    """Withstands a hostile client."""
    browser = signed_in(make_user("alice"))
    token = recent_token()
    for name in ODD_NAMES:
        answer = make(token, name=name)
        assert (answer.status, answer.fields) == (400, ["name"]), name
        # JSON can carry a lone surrogate, a form cannot.
        if isinstance(name, str) and name != "\ud800":
            browser.post(NEW, FORM | {"name": name})
    assert not APIKey.objects.exists()

    longest = ("<script>alert(1)</script>'\"=1+1" + "W" * 60)[:60]
    made = browser.post(NEW, FORM | {"name": longest})
    assert shown_key(made)
    for page in (made, browser.get(KEYS), browser.get("/accounts/activity/")):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
    assert APIKey.objects.get().name == longest


def test_a_revoked_session_makes_no_key():
    """Withstands a thief with a cookie.

    A new password revokes the thief's session and the tokens.
    """
    alice = make_user("alice")
    token, thief = recent_token(), signed_in(alice)
    sign_in(owner := Client(), "alice")

    change_password(alice, owner)

    assert make(token).status == 401
    assert thief.post(NEW, FORM).url.startswith("/accounts/login/")
    assert not APIKey.objects.exists()


LIFE = 300
SERVICE = "https://wiki.example"


@pytest.fixture
def person(settings, clock):
    """The tokens of a program with the scope ``read profile:write``."""
    set_up(settings, token_audiences=(SERVICE,))
    make_user("alice")
    return get_tokens(scope="read profile:write")


def test_more_scope_or_an_unknown_scope_or_audience_is_refused_and_uses_up_no_token(person, clock):
    """Withstands a thief with a token."""

    def requests(**token_request):
        renewed = renew(person["refresh"], **token_request)
        return [renewed, exchange(person["access"], **token_request)]

    for scope in ("write", "read write", "groups", "sessions:write", "read activity:write"):
        for answer in requests(scope=scope):
            assert answer.short == (400, "invalid_scope")
    unknown = [("scope", text) for text in ("admin", "read admin", "READ", "", " ", "read\0")]
    unknown += [("audience", f"{SERVICE}/"), ("audience", f"{SERVICE}.evil"), ("audience", "*")]
    for name, text in unknown:
        for answer in [*requests(**{name: text}), get_tokens(**{name: text})]:
            assert (answer.status, name in answer.body) == (400, True), text

    clock.advance(seconds=31)
    assert renew(person["refresh"]).status == 200


def test_a_narrow_token_gets_no_wider_one_but_its_refresh_token_keeps_its_scope(person):
    """A service that got a narrow token must not get the whole scope of the session."""
    renewed = renew(person["refresh"], scope="profile:read")
    narrow = renewed["access"]

    assert call("me/", token=narrow).status == 200
    refused = call("activity/", token=narrow)
    assert (refused.code, refused["scope"]) == ("insufficient_scope", "activity:read")
    assert 'scope="activity:read"' in refused.headers["WWW-Authenticate"]
    assert exchange(narrow)["scope"] == renewed["scope"] == "profile:read"
    for scope in ("read", "profile:write"):
        assert exchange(narrow, scope=scope).code == "invalid_scope"
    wide = renew(renewed["refresh"])
    assert wide["scope"] == "profile:write read"
    assert call("activity/", token=wide["access"]).status == 200


def test_groups_are_only_in_tokens_with_the_groups_scope(person):
    Group.objects.create(name="writers").user_set.add(User.objects.get())

    asked = get_tokens(scope="groups read")["access"]

    assert claims_of(asked)["groups"] == ["writers"]
    for other in (person, get_tokens(), exchange(asked, scope="read")):
        assert "groups" not in claims_of(other["access"])


def test_groups_that_would_make_a_token_too_long_are_omitted_and_marked_as_such(person):
    """Withstands an accident.

    Otherwise a user with 200 groups would get a token that the site itself refuses.
    """
    alice, lengths = User.objects.get(), set()
    for number in range(200):
        Group.objects.create(name=f"group of the people on floor {number:03}").user_set.add(alice)
        if number % 10 == 9:
            access = get_tokens(scope="read groups")["access"]
            claims = claims_of(access)
            assert ("groups" in claims) is (claims.get("groups_omitted") is None)
            assert len(claims.get("groups", ())) in {0, number + 1}
            assert is_good(access)
            lengths.add(len(access))

    assert claims["groups_omitted"] is True
    assert "groups_omitted" not in claims_of(person["access"])
    assert 3072 < max(lengths) <= 4096
    assert len(call("me/", token=access)["groups"]) == 200


def test_the_second_step_gives_the_scope_that_the_first_step_requested(clock):
    seed = enrolled(make_user("alice"))
    challenge = get_tokens(scope="profile:read")["challenge"]
    data = {"challenge": challenge, "code": code_of(seed)}
    assert call("token/challenge/", {**data, "scope": "write", "audience": SERVICE}).status == 400

    answer = call("token/challenge/", data)

    assert answer["scope"] == "profile:read"
    assert claims_of(answer["access"])["aud"] != SERVICE
    assert renew(answer["refresh"], scope="read").code == "invalid_scope"


def test_9_3_an_exchange_keeps_the_session_and_gives_no_refresh_token(person, clock):
    clock.advance(seconds=LIFE - 1)
    bought = exchange(person["access"])

    before, after = claims_of(person["access"]), claims_of(bought["access"])
    assert "refresh" not in bought.body
    assert before["client_id"] == "api"
    same = ("iss", "sub", "aud", "sid", "scope", "auth_time", "amr", "acr", "client_id")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["exp"] == before["exp"] + LIFE - 1
    assert after["jti"] != before["jti"]
    assert call("me/", basic=f"{bought['access']}:").status == 200
    assert call("me/", basic=f"{bought['access']}:any:thing").status == 200


@pytest.mark.parametrize("given, seconds", [(None, LIFE), (450, 450), (0, 0)])
def test_a_chain_of_exchanges_ends_after_exchange_seconds(person, settings, clock, given, seconds):
    """Withstands a thief with a token.

    Otherwise a thief could renew a stolen access token for a month without being noticed.
    """
    set_up(settings, exchange_seconds=given)
    first = claims_of(person["access"])["iat"]
    last = person["access"]
    for moment in range(first, first + seconds, 150):
        clock.set(datetime.fromtimestamp(moment, UTC))
        last = exchange(last)["access"]
        assert claims_of(last)["orig_iat"] == first
    clock.set(datetime.fromtimestamp(first + seconds, UTC))

    refused = exchange(last)

    assert (refused.status, refused.code) == (401, "token_not_valid")
    assert is_good(last) is (seconds < LIFE or last != person["access"])


@proves("V9.2.4")
def test_an_exchange_cannot_change_the_audience_and_is_recorded(person):
    assert exchange(person["access"], audience=SERVICE).code == "invalid_target"
    assert exchange(person["access"], audience="http://testserver").status == 400

    for burst in range(21):
        answer = exchange(person["access"])
        assert answer.code == ("throttled" if burst == 20 else "")

    here = {"session": claims_of(person["access"])["sid"], "ip": "127.0.0.1"}
    assert Activity.objects.filter(kind="token_exchanged", **here).count() == 20


@pytest.mark.parametrize("ends", ["refresh_idle_days", "refresh_token_days"])
def test_9_3_no_chain_of_exchanges_outlives_the_session(settings, clock, ends):
    """Withstands a thief with a token.

    Each token is exchanged just before it expires; the session ends after a day.
    """
    set_up(settings, access_token_seconds=3600, exchange_seconds=2**20, **{ends: 1})
    make_user("alice")
    last, end = get_tokens(), int((clock.now() + timedelta(days=1)).timestamp())

    while (exp := claims_of(last["access"])["exp"]) < end:
        clock.set(datetime.fromtimestamp(exp - 1, UTC))
        last = exchange(last["access"])

    assert exp == end
    assert is_good(last["access"])
    clock.set(datetime.fromtimestamp(end, UTC))
    assert not is_good(last["access"])
    assert exchange(last["access"]).code == "token_not_valid"


def test_a_session_ends_seven_days_after_its_last_refresh(person, clock):
    clock.advance(days=7, seconds=-1)
    tokens = renew(person["refresh"])
    clock.advance(days=7)

    for token in (tokens["refresh"], person["refresh"]):
        assert renew(token).code == "token_not_valid", "this does not count as reuse"


@proves("V7.3.2", "V10.4.8")
def test_no_chain_of_refreshes_outlives_thirty_days(person, clock):
    tokens = person
    for _ in range(4):
        clock.advance(days=6)
        tokens = renew(tokens["refresh"])
        assert tokens["expires_in"] == LIFE
    clock.advance(days=6, seconds=-60)

    tokens = renew(tokens["refresh"])

    assert 59 <= tokens["expires_in"] <= 60
    assert exchange(tokens["access"])["expires_in"] == tokens["expires_in"]
    clock.advance(seconds=60)
    assert not is_good(tokens["access"])
    assert exchange(tokens["access"]).status == 401
    assert renew(tokens["refresh"]).code == "token_not_valid"
