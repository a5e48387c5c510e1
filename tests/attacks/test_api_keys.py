"""API keys found, guessed, forged, carried where they don't belong, or read where they lie."""

import itertools
import json
import re
import zlib
from base64 import b32encode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.apikeys import text
from tests.attacks.key_steps import (
    FORM,
    KEYS,
    LOCKDOWN,
    NEW,
    REFUSED,
    fresh,
    is_alive,
    key_of,
    make,
    on_page,
    row_of,
)
from tests.conftest import Clock
from tests.support.api import call
from tests.support.signin import signed_in
from tests.support.site import Site
from tests.support.steps import make_user, outbox

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def sealed(body: str) -> str:
    """``body`` with a checksum that fits, as whoever has read the docs makes it."""
    checksum = b32encode(zlib.crc32(body.encode()).to_bytes(4)).decode().rstrip("=").lower()
    return body + checksum


def dump() -> str:
    """Every row of every table, the mails that wait opened."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    return serializers.serialize("json", rows) + str(outbox())


def test_a_key_is_shown_once_and_never_again_by_page_call_admin_history_mail_or_log(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    browser = signed_in(make_user("alice"))
    page = browser.post(NEW, FORM)
    token = fresh()
    answer = make(token, scope="read")
    carol = signed_in(make_user("carol", is_staff=True, is_superuser=True))
    keys = [on_page(page), answer["key"]]
    alice = row_of(keys[0]).user

    assert [page.text.count(keys[0]), json.dumps(answer.body).count(keys[1])] == [1, 1]
    for headers in (page.headers, answer.headers):
        assert "no-store" in headers["Cache-Control"]
    shown = [dump(), caplog.text]
    for path in (KEYS, NEW, LOCKDOWN, "/", "/accounts/activity/", "/accounts/sessions/"):
        shown.append(browser.get(path).text)
    shown += [carol.get(f"/admin/accounts/user/{alice.pk}/{view}/").text for view in ("change",)]
    shown += [str(call(path, token=token).body) for path in ("keys/", "activity/", "me/")]
    assert len(shown) == 12
    for key, seen in itertools.product(keys, shown):
        # Its id is no secret; of what follows not even a part is left.
        assert key[25:33] not in seen
    assert text.id_of(keys[0])[:4] in shown[2], "the list is of these keys"
    assert all(is_alive(key) for key in keys)


def test_what_is_stored_of_a_key_opens_nothing() -> None:
    key = key_of(make_user("alice"), "read write")
    row = row_of(key)
    stolen = [row.digest, row.pk, f"{text.PREFIX}{row.pk}", sealed(text.PREFIX + row.pk)]
    stolen += [f"{text.PREFIX}{row.digest}"[:64], sealed(f"{text.PREFIX}{row.pk}{row.digest[:32]}")]

    assert [call("me/", token=value).status for value in stolen] == [401] * len(stolen)
    assert is_alive(key)


def other_letter(key: str, place: int) -> str:
    """``key`` with another character there."""
    letter = "b" if key[place] == "a" else "a"
    return key[:place] + letter + key[place + 1 :]


ODD: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "upper case behind the prefix": lambda key: text.PREFIX + key[9:].upper(),
    "prefix in another case": lambda key: "Authsite_" + key[9:],
    "without its prefix": lambda key: key[9:],
    "the prefix alone": lambda _: text.PREFIX,
    "truncated": lambda key: key[:-1],
    "without its checksum": lambda key: key[:-7],
    "longer": lambda key: key + "a",
    "twice": lambda key: key * 2,
    "padded": lambda key: key + "=",
    "a space inside": lambda key: key[:30] + " " + key[30:],
    "a line break inside": lambda key: key[:30] + "\t" + key[30:],
    "a digit of another script": lambda key: key[:-1] + "٢",
    "another checksum": lambda key: other_letter(key, -5),
    "one character of the secret": lambda key: other_letter(key, 40),
    "one character of the id": lambda key: other_letter(key, 12),
    "quoted": lambda key: f'"{key}"',
    "8 KB": lambda key: key[:-7] + "a" * 8192,
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_what_is_not_written_as_keys_are_is_refused_without_a_query(
    change: Callable[[str], str], django_assert_num_queries: Any
) -> None:
    key = key_of(make_user("alice"))

    with django_assert_num_queries(0):
        answer = call("me/", token=change(key))

    assert (answer.status, answer.code) == REFUSED
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_secret_opens_its_own_key_only_and_a_wrong_one_costs_one_query(
    django_assert_num_queries: Any,
) -> None:
    """By whoever knows every id, and writes checksums that fit."""
    alice, mallory = key_of(make_user("alice")), key_of(make_user("mallory"))
    start, end = text.ID_LENGTH + len(text.PREFIX), -7
    crossed = sealed(alice[:start] + mallory[start:end])
    guessed = sealed(alice[:start] + other_letter(alice[start:end], 31))
    unknown = sealed(other_letter(alice, start - 1)[:end])

    for forged in (crossed, guessed, unknown):
        assert text.is_key(forged)
        with django_assert_num_queries(1):
            answer = call("me/", token=forged)
        assert (answer.status, answer.code) == REFUSED
    assert row_of(alice).used_at is None


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


ELSEWHERE: dict[str, Callable[[str], dict[str, str]]] = {
    "as the user of Basic": lambda key: {"Authorization": basic(key, "x")},
    "as the password of Basic": lambda key: {"Authorization": basic("alice", key)},
    "by another scheme": lambda key: {"Authorization": f"Token {key}"},
    "without a scheme": lambda key: {"Authorization": key},
    "behind a tab": lambda key: {"Authorization": f"Bearer\t{key}"},
    "in another header": lambda key: {"X-API-Key": key, "X-Authorization": f"Bearer {key}"},
    "in the cookies": lambda key: {"Cookie": f"sessionid={key}; refresh={key}; trusted={key}"},
}


@pytest.mark.parametrize("carried", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_key_is_taken_as_bearer_and_nowhere_else(
    carried: Callable[[str], dict[str, str]],
) -> None:
    key = key_of(make_user("alice"), "read write")
    program = Client(headers=carried(key))

    for method in ("GET", "PATCH"):
        assert call("me/", {"about": key}, method=method, client=program).status == 401
    assert program.get("/", headers={"Origin": "http://localhost"}).status_code == 302
    assert row_of(key).used_at is None


@pytest.mark.parametrize("form", [False, True])
def test_a_key_in_a_body_is_worthless_and_buys_no_token(form: bool) -> None:
    key = key_of(make_user("alice"), "read write")
    sent = {"key": key, "access_token": key, "authorization": f"Bearer {key}"}

    assert call("me/", sent, method="PATCH", form=form).status == 401
    for path, data in (
        ("token/", {"username": "alice", "password": key}),
        ("token/refresh/", {"refresh": key}),
        ("token/verify/", {"token": key}),
        ("token/challenge/", {"challenge": key, "code": key}),
    ):
        assert call(path, data).status == 401
    assert call("token/revoke/", {"token": key}, form=form).status == 200
    assert is_alive(key)


def encoded(key: str) -> str:
    """As no browser would write it, and every server reads it."""
    return "".join(f"%{ord(letter):02x}" for letter in key)


@pytest.mark.parametrize(
    "write", [str, str.upper, encoded, lambda key: f"a{key}b", lambda key: f"%61{key}"]
)
@pytest.mark.parametrize(
    "address",
    [
        *("/{}", "/?key={}", "/?{}", "/static/app.css?v={}", "/accounts/login/?next=/{}"),
        *("/api/v1/me/?access_token={}", "/api/v1/{}/", "/api/v1/keys/{}/", "/dev/mail/{}/"),
    ],
)
def test_a_key_in_an_address_is_refused_before_anything_is_looked_at(
    address: str, write: Callable[[str], str], django_assert_num_queries: Any
) -> None:
    """Also beside a good one in its place: whoever does that learns it at the first try."""
    key = key_of(make_user("alice"), "read write")
    path, _, query = address.format(write(key)).partition("?")

    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        with django_assert_num_queries(0):
            answer = Client().generic(
                method, path, QUERY_STRING=query, headers={"Authorization": f"Bearer {key}"}
            )
        assert answer.status_code == 400
        assert key.encode() not in answer.content
    if "/api/" in address:
        assert json.loads(answer.content)["code"] == "bad_request"
    assert is_alive(key)


@pytest.mark.parametrize(
    "write",
    [str, str.upper, lambda key: key[9:], lambda key: encoded(f"%{ord(key[0]):x}") + key[1:]],
)
def test_no_spelling_of_a_key_in_an_address_is_logged(
    write: Callable[[str], str], site: Site
) -> None:
    key = text.make().text

    site.client().get(f"/{write(key)}/")

    assert key[17:].lower() not in site.log().lower()


def test_a_call_by_a_key_is_one_query_and_at_most_one_write_in_five_minutes(clock: Clock) -> None:
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
    """By the lines of the docs alone, which are what operators give to their secret scanners."""
    assert SCANNER
    told: dict[str, Any] = {}
    exec(SCANNER[1], told)  # noqa: S102 ours
    keys = [text.make().text for _ in range(500)]
    soup = "".join(
        f'{{"key":"{key}"}} {key}\nexport KEY={key};{key[:-1]} x{key[9:]}' for key in keys
    )

    found = [match[0] for match in re.finditer(told["PATTERN"], soup)]

    assert found == [key for key in keys for _ in range(3)]
    assert all(map(told["is_key"], keys))
    for key, place in itertools.product(keys[:50], range(9, 64)):
        assert not told["is_key"](other_letter(key, place)), (key, place)
