"""API keys that are found, guessed, forged or read from the database."""

import itertools
import json
import re
import zlib
from base64 import b32encode, b64encode
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.apikeys import models as apikeys_models
from accounts.throttle.limits import KEY_NEW
from accounts.throttle.services import hit
from tests.support import api_keys as key_steps
from tests.support.api import call
from tests.support.api_keys import (
    FORM,
    KEYS,
    NEW,
    REFUSED,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
)
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.site import ROOT
from tests.support.steps import make_user, outbox

pytestmark = pytest.mark.django_db

DOCS = ROOT / "docs" / "operating.md"


def sealed(body: str) -> str:
    """Return ``body`` with a valid checksum, which anybody can compute from the documentation."""
    checksum = b32encode(zlib.crc32(body.encode()).to_bytes(4)).decode().rstrip("=").lower()
    return body + checksum


def dump() -> str:
    """Return every row of every table, and the decrypted mails."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    return serializers.serialize("json", rows) + str(outbox())


def test_a_key_is_shown_once_and_never_again_by_any_page_answer_mail_or_log(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    browser = signed_in(make_user("alice"))
    page = browser.post(NEW, FORM)
    token = recent_token()
    answer = make(token, scope="read")
    carol = signed_in(make_user("carol", is_staff=True, is_superuser=True))
    keys = [key_steps.shown_key(page), answer["key"]]
    alice = row_of(keys[0]).user

    assert [page.text.count(keys[0]), json.dumps(answer.body).count(keys[1])] == [1, 1]
    for headers in (page.headers, answer.headers):
        assert "no-store" in headers["Cache-Control"]
    shown = [dump(), caplog.text]
    for path in (KEYS, NEW, key_steps.LOCKDOWN, "/", "/accounts/activity/", "/accounts/sessions/"):
        shown.append(browser.get(path).text)
    shown.append(carol.get(f"/admin/accounts/user/{alice.pk}/change/").text)
    shown += [str(call(path, token=token).body) for path in ("keys/", "activity/", "me/")]
    assert len(shown) == 12
    for key, seen in itertools.product(keys, shown):
        # The id is no secret, but no part of the secret that follows it may appear.
        assert key[25:33] not in seen
    assert apikeys_models.id_of(keys[0])[:4] in shown[2], "the page lists these keys"
    assert all(is_alive(key) for key in keys)


def test_what_is_stored_of_a_key_cannot_be_used_as_a_key() -> None:
    key = key_of(make_user("alice"), "read write")
    row = row_of(key)
    stolen = [
        row.digest,
        row.pk,
        f"{apikeys_models.PREFIX}{row.pk}",
        sealed(apikeys_models.PREFIX + row.pk),
    ]
    stolen += [
        f"{apikeys_models.PREFIX}{row.digest}"[:64],
        sealed(f"{apikeys_models.PREFIX}{row.pk}{row.digest[:32]}"),
    ]

    assert [call("me/", token=value).status for value in stolen] == [401] * len(stolen)
    assert is_alive(key)


def other_letter(key: str, place: int) -> str:
    """Return ``key`` with another character at ``place``."""
    letter = "b" if key[place] == "a" else "a"
    return key[:place] + letter + key[place + 1 :]


def odd(key: str) -> list[str]:
    """Return malformed variants of ``key``."""
    return [
        *(
            key.upper(),
            apikeys_models.PREFIX + key[9:].upper(),
            "Authsite_" + key[9:],
            key[9:],
            apikeys_models.PREFIX,
        ),
        *(key[:-1], key[:-7], key + "a", key * 2, key + "=", key[:-1] + "٢", f'"{key}"'),
        *(key[:30] + " " + key[30:], key[:30] + "\t" + key[30:], key[:-7] + "a" * 8192),
        *(other_letter(key, place) for place in (-5, 40, 12)),
    ]


def test_a_malformed_key_is_refused_without_a_query(
    django_assert_num_queries: Any,
) -> None:
    for text_of_none in odd(key_of(make_user("alice"))):
        with django_assert_num_queries(0):
            answer = call("me/", token=text_of_none)
        assert (answer.status, answer.code) == REFUSED, text_of_none
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_secret_works_only_with_its_own_id_and_a_wrong_one_costs_one_query(
    django_assert_num_queries: Any,
) -> None:
    """The attacker knows every id and can compute checksums."""
    alice, mallory = key_of(make_user("alice")), key_of(make_user("mallory"))
    start, end = apikeys_models.ID_LENGTH + len(apikeys_models.PREFIX), -7
    crossed = sealed(alice[:start] + mallory[start:end])
    guessed = sealed(alice[:start] + other_letter(alice[start:end], 31))
    unknown = sealed(other_letter(alice, start - 1)[:end])

    for forged in (crossed, guessed, unknown):
        assert apikeys_models.is_key(forged)
        with django_assert_num_queries(1):
            answer = call("me/", token=forged)
        assert (answer.status, answer.code) == REFUSED
    assert row_of(alice).used_at is None


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def elsewhere(key: str) -> list[dict[str, str]]:
    """Return headers that carry ``key``, but not as a Bearer token."""
    return [
        *({"Authorization": basic(key, "x")}, {"Authorization": basic("alice", key)}),
        *({"Authorization": f"Token {key}"}, {"Authorization": key}),
        {"Authorization": f"Bearer\t{key}"},
        {"X-API-Key": key, "X-Authorization": f"Bearer {key}"},
        {"Cookie": f"sessionid={key}; refresh={key}; trusted={key}"},
    ]


def test_a_key_is_accepted_only_as_a_bearer_token() -> None:
    """No other header and no body carries a key, and a key cannot be exchanged for a token."""
    key = key_of(make_user("alice"), "read write")
    for headers in elsewhere(key):
        program = Client(headers=headers)
        for method in ("GET", "PATCH"):
            assert call("me/", {"about": key}, method=method, client=program).status == 401
        assert program.get("/", headers={"Origin": "http://localhost"}).status_code == 302
    sent = {"key": key, "access_token": key, "authorization": f"Bearer {key}"}
    for form in (False, True):
        assert call("me/", sent, method="PATCH", form=form).status == 401
    for path, data in (
        ("token/", {"username": "alice", "password": key}),
        ("token/refresh/", {"refresh": key}),
        ("token/verify/", {"token": key}),
        ("token/challenge/", {"challenge": key, "code": key}),
    ):
        assert call(path, data).status == 401

    assert row_of(key).used_at is None
    assert is_alive(key)


@pytest.mark.parametrize("form", [False, True])
def test_anyone_who_finds_a_key_can_revoke_it_and_its_owner_is_notified(form: bool) -> None:
    """Secret scanners have nothing but the key, and programs revoke their own key when done."""
    alice = make_user("alice")
    key, other = key_of(alice, name="mine"), key_of(alice)

    for token in (f"{key[:-1]}a", key, key):
        assert call("token/revoke/", {"token": token}, form=form).status == 200

    assert (is_alive(key), is_alive(other)) == (False, True)
    (row,) = Activity.objects.filter(kind="key_ended")
    assert (row.user, row.proof, row.detail) == (alice, "api_key", "mine")
    assert "API key was removed" in outbox()[-1].subject


def test_a_request_with_a_key_is_one_query_and_at_most_one_write_in_five_minutes(
    clock: Clock,
) -> None:
    key = key_of(make_user("alice"))

    def cost() -> list[str]:
        with CaptureQueriesContext(connection) as statements:
            assert is_alive(key)
        return [query["sql"].split()[0] for query in statements]

    assert [cost() for _ in range(3)] == [["SELECT", "UPDATE"], ["SELECT"], ["SELECT"]]
    clock.advance(minutes=4, seconds=59)
    assert cost() == ["SELECT"]
    clock.advance(seconds=1)
    assert cost() == ["SELECT", "UPDATE"]
    assert row_of(key).used_at == clock.now()


SCANNER = re.search(r"```python\n(.*?)```", DOCS.read_text().partition("## API keys")[2], re.DOTALL)


def test_the_documented_pattern_finds_every_key_and_its_checksum_rejects_look_alikes() -> None:
    """Run the code of the documentation, which operators give to their secret scanners."""
    assert SCANNER
    documented: dict[str, Any] = {}
    exec(SCANNER[1], documented)  # noqa: S102 our own documentation
    keys = [apikeys_models.make_text().text for _ in range(100)]
    soup = "".join(
        f'{{"key":"{key}"}} {key}\nexport KEY={key};{key[:-1]} x{key[9:]}' for key in keys
    )

    found = [match[0] for match in re.finditer(documented["PATTERN"], soup)]

    assert found == [key for key in keys for _ in range(3)]
    assert all(map(documented["is_key"], keys))
    for key, place in itertools.product(keys[:20], range(9, 64)):
        assert not documented["is_key"](other_letter(key, place)), (key, place)


def test_a_key_cannot_flood_the_history_and_each_entry_names_its_key() -> None:
    """Without a limit, 1,500 changes in five seconds would hide what else a thief did."""
    alice = make_user("alice")
    key = key_of(alice, "profile:write", name="bot")

    def codes(token: str, changes: int) -> list[str]:
        patch = {"method": "PATCH", "token": token}
        return [call("me/", {"about": f"{n}"}, **patch).code for n in range(changes)]

    assert codes(key, 31) == [""] * 30 + ["throttled"]
    assert codes(recent_token(), 1) == [""], "the owner has not used up anything"
    rows = Activity.objects.filter(kind="profile_changed").order_by("id")
    by_key = f"bot, {row_of(key).beginning}"
    assert [row.key for row in rows] == [by_key] * 30 + [""]
    assert f"API key <bdi>{by_key}</bdi>" in signed_in(alice).get("/accounts/activity/").text


def test_the_number_of_keys_that_one_user_makes_is_limited(clock: Clock) -> None:
    assert KEY_NEW.burst == 60
    alice = make_user("alice")
    token = recent_token()
    for _ in range(KEY_NEW.burst - 1):
        hit(KEY_NEW.of(alice.pk))

    assert [make(token).code for _ in range(2)] == ["", "throttled"]
