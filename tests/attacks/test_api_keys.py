"""Attacks with API keys and on them."""

import itertools
import json
import re
import zlib
from base64 import b32encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.apikeys import services
from accounts.apikeys.models import ID_LENGTH, PREFIX, TEXT, APIKey
from accounts.common import clock as site_clock
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import KEY_NEW
from accounts.throttle.services import hit
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.administration import by_staff, by_superuser, desk, page_of
from tests.support.api import call
from tests.support.api_jwt import basic
from tests.support.api_keys import (
    FORM,
    KEYS,
    LOCKDOWN,
    NEW,
    REFUSED,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
    shown_key,
)
from tests.support.disputes import lock, reset_link
from tests.support.second_factor import set_up_authenticator, unused_code
from tests.support.second_steps import mails_about, with_factor
from tests.support.signin import signed_in
from tests.support.site import ROOT
from tests.support.standards import proves
from tests.support.steps import LOGIN, make_user, outbox, path_of

DOCS = ROOT / "docs" / "operating.md"


def sealed(body):
    """Return ``body`` with a valid checksum, which anybody can compute from the documentation."""
    checksum = b32encode(zlib.crc32(body.encode()).to_bytes(4)).decode().rstrip("=").lower()
    return body + checksum


def dump():
    """Return every row of every table, and the decrypted mails."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    return serializers.serialize("json", rows) + str(outbox())


def test_a_key_is_shown_once_and_never_again_by_any_page_answer_mail_or_log(clock, caplog):
    """Withstands a thief with the database."""
    browser = signed_in(make_user("alice"))
    page = browser.post(NEW, FORM)
    token = recent_token()
    answer = make(token, scope="read")
    carol = desk("Superuser")
    keys = [shown_key(page), answer["key"]]
    alice = row_of(keys[0]).user

    assert [page.text.count(keys[0]), json.dumps(answer.body).count(keys[1])] == [1, 1]
    for headers in (page.headers, answer.headers):
        assert "no-store" in headers["Cache-Control"]
    shown = [dump(), caplog.text]
    for path in (KEYS, NEW, LOCKDOWN, "/", "/accounts/activity/", "/accounts/sessions/"):
        shown.append(browser.get(path).text)
    shown.append(carol.get(page_of(alice)).text)
    shown += [str(call(path, token=token).body) for path in ("keys/", "activity/", "me/")]
    for key, seen in itertools.product(keys, shown):
        # The id is no secret, but no part of the secret that follows it may appear.
        assert key[25:33] not in seen
    assert TEXT.id_of(keys[0])[:4] in shown[2], "the page lists these keys"
    assert all(is_alive(key) for key in keys)


def test_what_is_stored_of_a_key_cannot_be_used_as_a_key():
    """Withstands a thief with the database."""
    key = key_of(make_user("alice"), "read write")
    row = row_of(key)
    start = PREFIX + row.pk
    stolen = [row.digest, row.pk, start, sealed(start), f"{PREFIX}{row.digest}"[:64]]

    for value in (*stolen, sealed(start + row.digest[:32])):
        assert call("me/", token=value).status == 401
    assert is_alive(key)


def other_letter(key, place):
    """Return ``key`` with another character at ``place``."""
    letter = "b" if key[place] == "a" else "a"
    return key[:place] + letter + key[place + 1 :]


def odd(key):
    """Return malformed variants of ``key``."""
    return [
        *(key.upper(), PREFIX + key[9:].upper(), "Authsite_" + key[9:], key[9:], PREFIX),
        *(key[:-1], key[:-7], key + "a", key * 2, key + "=", key[:-1] + "٢", f'"{key}"'),
        *(key[:30] + " " + key[30:], key[:30] + "\t" + key[30:], key[:-7] + "a" * 8192),
        *(other_letter(key, place) for place in (-5, 40, 12)),
    ]


def test_a_malformed_key_is_refused_without_a_query(django_assert_num_queries):
    """Withstands a hostile client."""
    for text_of_none in odd(key_of(make_user("alice"))):
        with django_assert_num_queries(0):
            answer = call("me/", token=text_of_none)
        assert (answer.status, answer.code) == REFUSED, text_of_none
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_secret_works_only_with_its_own_id_and_a_wrong_one_costs_one_query(
    django_assert_num_queries,
):
    """Withstands a guesser: an API key is guessed.

    The attacker knows every id and can compute checksums.
    """
    alice, mallory = key_of(make_user("alice")), key_of(make_user("mallory"))
    start, end = ID_LENGTH + len(PREFIX), -7
    crossed = alice[:start] + mallory[start:end]
    guessed = alice[:start] + other_letter(alice[start:end], 31)
    unknown = other_letter(alice, start - 1)[:end]

    for forged in map(sealed, (crossed, guessed, unknown)):
        assert TEXT.is_key(forged)
        with django_assert_num_queries(1):
            answer = call("me/", token=forged)
        assert (answer.status, answer.code) == REFUSED
    assert row_of(alice).used_at is None


def elsewhere(key):
    """Return headers that carry ``key``, but not as a Bearer token."""
    return [
        *({"Authorization": basic(key)}, {"Authorization": basic("alice", key)}),
        *({"Authorization": f"Token {key}"}, {"Authorization": key}),
        {"Authorization": f"Bearer\t{key}"},
        {"X-API-Key": key, "X-Authorization": f"Bearer {key}"},
        {"Cookie": f"sessionid={key}; refresh={key}; trusted={key}"},
    ]


@proves("V15.3.7")
def test_a_key_is_accepted_only_as_a_bearer_token():
    """Withstands a thief with a token.

    No other header and no body carries a key, and a key cannot be exchanged for a token.
    """
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
def test_anyone_who_finds_a_key_can_revoke_it_and_its_owner_is_notified(form):
    """Withstands a thief with a token.

    Secret scanners have nothing but the key, and programs revoke their own key when done.
    """
    alice = make_user("alice")
    key, other = key_of(alice, name="mine"), key_of(alice)

    for token in (f"{key[:-1]}a", key, key):
        assert call("token/revoke/", {"token": token}, form=form).status == 200

    assert (is_alive(key), is_alive(other)) == (False, True)
    (row,) = Activity.objects.filter(kind="key_ended")
    assert (row.user, row.proof, row.detail) == (alice, "api_key", "mine")
    assert "API key was revoked" in outbox()[-1].subject


def test_a_request_with_a_key_is_one_query_and_at_most_one_write_in_five_minutes(clock):
    """Withstands a flood."""
    key = key_of(make_user("alice"))

    def cost():
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


def test_the_documented_pattern_finds_every_key_and_its_checksum_rejects_look_alikes():
    """Withstands an accident: keys are published.

    Run the code of the documentation, which operators give to their secret scanners.
    """
    assert SCANNER
    documented: dict[str, Any] = {}
    exec(SCANNER[1], documented)  # noqa: S102 our own documentation
    keys = [TEXT.make().text for _ in range(100)]
    soup = "".join(
        f'{{"key":"{key}"}} {key}\nexport KEY={key};{key[:-1]} x{key[9:]}' for key in keys
    )

    found = [match[0] for match in re.finditer(documented["PATTERN"], soup)]

    assert found == [key for key in keys for _ in range(3)]
    assert all(map(documented["is_key"], keys))
    for key, place in itertools.product(keys[:20], range(9, 64)):
        assert not documented["is_key"](other_letter(key, place)), (key, place)


def test_changes_of_the_profile_cannot_flood_the_history():
    """Withstands a flood.

    Without a limit, 1,500 changes in five seconds would hide what else a thief did.
    """
    make_user("alice")
    patch = {"method": "PATCH", "token": recent_token()}

    codes = [call("me/", {"about": f"{n}"}, **patch).code for n in range(31)]

    assert codes == [""] * 30 + ["throttled"]


@proves("V16.2.1")
def test_each_entry_of_the_history_names_the_key_that_caused_it():
    alice = make_user("alice")
    key = key_of(alice, "sessions:write", name="bot")
    signed_in(alice)
    session = LoginSession.objects.get()

    assert call(f"sessions/{session.pk}/", method="DELETE", token=key).status == 204

    by_key = f"bot, {row_of(key).beginning}"
    assert Activity.objects.get(kind="session_ended").key == by_key
    assert f"API key <bdi>{by_key}</bdi>" in signed_in(alice).get("/accounts/activity/").text


def test_the_number_of_keys_that_one_user_makes_is_limited(clock):
    assert KEY_NEW.burst == 60
    alice = make_user("alice")
    token = recent_token()
    for _ in range(KEY_NEW.burst - 1):
        hit(KEY_NEW.of(alice.pk))

    assert [make(token).code for _ in range(2)] == ["", "throttled"]


CHANGE, SET = "/accounts/password/change/", "/accounts/password/set/"
NEW_PASSWORD = "a lantern over seven wet roofs"


def set_password(user):
    """Set a password as the ``changepassword`` command does."""
    user.set_password(NEW_PASSWORD)
    user.save()


CHANGES: dict[str, Callable[[User, Client], Any]] = {
    "the password": lambda _user, browser: browser.post(CHANGE, {"password1": NEW_PASSWORD}),
    "an authenticator": lambda _user, browser: set_up_authenticator(browser),
    "rights, by staff": lambda user, _browser: by_staff(user, is_active="on", is_staff="on"),
    "the password, by the operator": lambda user, _browser: set_password(user),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_revokes_a_session_revokes_the_keys_made_in_it(change):
    """Withstands a thief in the account."""
    alice = make_user("alice")
    browser, thief, former = signed_in(alice), signed_in(alice), signed_in(alice)
    keys = {
        "own": shown_key(browser.post(NEW, FORM)),
        "thief's": shown_key(thief.post(NEW, FORM)),
        "thief's program's": make(recent_token())["key"],
        "of a session that ended before": shown_key(former.post(NEW, FORM)),
        "from before this version": key_of(alice),
    }
    former.post("/accounts/logout/")

    CHANGES[change](User.objects.get(pk=alice.pk), browser)
    call_command("end_sessions", "alice")  # which ends no key

    is_kept = change in {"the password", "an authenticator"}
    alive = [is_alive(key) for key in keys.values()]
    assert alive == [is_kept, False, False, True, True]
    assert alice.activity.filter(kind="key_ended").count() == alive.count(False)
    assert mails_about("An API key was revoked") == [], "the notice of the change is enough"


SESSIONS = "/accounts/sessions/"


def test_signing_out_everywhere_else_ends_the_keys_made_there_unless_they_are_unticked():
    """Withstands a thief in the account."""
    alice = make_user("alice")
    here, there = signed_in(alice), signed_in(alice)
    own = shown_key(here.post(NEW, FORM))
    kept, thiefs, unseen = (
        shown_key(there.post(NEW, FORM | {"name": name})) for name in ("kept", "thiefs", "unseen")
    )
    bobs = key_of(make_user("bob"))
    mails = len(outbox())

    shown = here.get(SESSIONS).text

    assert shown.count('name="end_key"') == shown.count(" checked>") == 3
    assert f'name="shown_key" value="{row_of(own).pk}"' not in shown
    listed, ticked = [row_of(kept).pk, row_of(thiefs).pk], [row_of(thiefs).pk, row_of(bobs).pk]
    here.post(SESSIONS, {"others": "1", "shown_key": listed, "end_key": ticked})

    alive = [is_alive(key) for key in (own, bobs, kept, thiefs, unseen)]
    assert alive == [True, True, True, False, False]
    assert {mail.subject for mail in outbox()[mails:]} == {"An API key was revoked"}


def test_a_key_whose_session_ends_before_the_form_is_sent_ends_if_it_is_ticked():
    alice = make_user("alice")
    here, there = signed_in(alice), signed_in(alice)
    key = shown_key(there.post(NEW, FORM))
    there.post("/accounts/logout/")

    here.post(SESSIONS, {"others": "1", "shown_key": row_of(key).pk, "end_key": row_of(key).pk})

    assert not is_alive(key)


def test_a_session_that_ends_during_its_request_makes_no_key():
    """Withstands a race.

    Otherwise a key could be made at the moment at which its owner signs out everywhere else.
    """
    alice = make_user("alice")
    signed_in(alice)
    session = LoginSession.objects.get()
    sessions.revoke(session)

    with pytest.raises(AccountChanged):
        services.make(alice, "bot", frozenset({"read"}), None, Actor(session=session.pk))


def by_link(alice):
    return Client(), reset_link()


def from_inside(alice):
    return signed_in(alice), CHANGE


def without_a_password(alice):
    User.objects.filter(pk=alice.pk).update(password="!")
    return signed_in(alice), SET


@pytest.mark.parametrize("way", [from_inside, without_a_password, by_link])
def test_a_new_password_revokes_the_keys_that_the_owner_selects(way):
    """Withstands a thief in the account."""
    alice = make_user("alice")
    bobs, backup, unknown = key_of(make_user("bob")), key_of(alice), key_of(alice, name="unknown")
    thiefs = shown_key(signed_in(alice).post(NEW, FORM | {"name": "thief"}))
    key_of(alice, name="expired", days=-1)
    browser, page = way(alice)
    chosen = {"end_key": [row_of(unknown).pk, row_of(bobs).pk, "\0", "x" * 5000, ""]}

    shown = browser.get(page).text
    ends, _, stay = shown.partition('<input type="checkbox" name="end_key"')
    assert "thief</bdi>" in ends
    assert f'type="hidden" name="end_key" value="{row_of(thiefs).pk}"' in ends
    assert "unknown</bdi>" in stay
    assert "expired" not in shown
    again = browser.post(page, {"password1": "short", **chosen}).text
    assert again.count(" checked>") == 1
    assert is_alive(unknown)

    assert browser.post(page, {"password1": NEW_PASSWORD, **chosen}).status_code == 302

    assert [is_alive(key) for key in (backup, bobs, unknown, thiefs)] == [True, True, False, False]
    ended = alice.activity.filter(kind="key_ended").values_list("detail", flat=True)
    assert sorted(ended) == ["thief", "unknown"]


def test_a_reset_link_shows_and_revokes_no_key_before_the_second_factor():
    """Withstands a thief with the mailbox."""
    alice, _seed = with_factor()
    key, browser, link = key_of(alice, name="backup"), Client(), reset_link()
    chosen = {"end_key": row_of(key).pk}

    assert "backup" not in browser.get(link).text
    browser.post(link, {"password1": NEW_PASSWORD, **chosen})
    assert is_alive(key)
    browser.post(link, {"code": unused_code(alice)})
    assert "backup" in browser.get(link).text
    assert browser.post(link, {"password1": NEW_PASSWORD, **chosen})["Location"] == LOGIN
    assert not is_alive(key)


ODD_ENDS = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "never", "", 0, 1e300, [])

ENDS: dict[str, Callable[[Any, Client, str], Any]] = {
    "locked down": lambda user, *_: lock(user),
    "switched off": lambda user, *_: by_superuser(user, "deactivate"),
    "switched off past the admin": lambda *_: User.objects.update(is_active=False),
    "removed by a call": lambda user, _browser, key: end_by_call(user, key),
}


def end_by_call(user, key):
    answer = call(f"keys/{row_of(key).pk}/", method="DELETE", token=recent_token())
    assert (answer.status, answer.body) == (204, None)


@proves("V13.3.4")
def test_a_key_expires_within_a_year_unless_it_was_made_without_an_expiry(clock):
    make_user("alice")
    token, now = recent_token(), site_clock.now()
    too_late = (now + timedelta(days=367)).isoformat()
    for end in (*ODD_ENDS, too_late, now.isoformat()):
        answer = make(token, expires_at=end)
        assert (answer.status, answer.fields) == (400, ["expires_at"]), end
    assert not APIKey.objects.exists()

    assert make(token, expires_at=(now + timedelta(days=366)).isoformat()).status == 201
    assert make(token, expires_at=None)["expires_at"] is None
    suggested = row_of(make(token)["key"]).expires_at
    assert suggested == now + timedelta(days=90)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_revoked_key_stops_working_at_once(end):
    """Withstands a thief with a token."""
    alice = make_user("alice")
    browser = signed_in(alice)
    bobs = key_of(make_user("bob"))
    # Not made in a session, because it would be revoked with that session in any case.
    key = key_of(alice, "read write")
    assert is_alive(key)

    end(alice, browser, key)

    assert not is_alive(key)
    assert call("me/", {"about": "x"}, method="PATCH", token=key).status == 401
    assert is_alive(bobs) is (end is not ENDS["switched off past the admin"])
    User.objects.filter(pk=alice.pk).update(is_active=True)
    if end is ENDS["switched off"]:
        assert not is_alive(key), "activating the account restores no key"


def test_the_lockdown_page_says_how_many_keys_it_revokes():
    """Withstands a thief in the account."""
    alice = make_user("alice")
    browser = signed_in(alice)
    assert "API key" not in browser.get(LOCKDOWN).text.partition("<main")[2]
    for _ in range(2):
        key_of(alice)

    by_link = Client().get(path_of(outbox()[-1].action_url))
    for page in (browser.get(LOCKDOWN), by_link):
        assert "All 2 API keys" in page.text


def test_an_expired_key_stops_working_and_stays_listed_for_thirty_days(clock):
    alice = make_user("alice")
    key, forever = key_of(alice, days=30), key_of(alice)
    clock.advance(days=30, seconds=-1)
    assert is_alive(key)
    clock.advance(seconds=1)
    assert [is_alive(key), is_alive(forever)] == [False, True]

    clock.advance(days=30, seconds=-1)
    call_command("prune", verbosity=0)
    assert "Expired" in signed_in(alice).get(KEYS).text
    clock.advance(seconds=1)
    call_command("prune", verbosity=0)
    assert APIKey.objects.get() == row_of(forever)


def expiry_mails():
    """Run ``prune`` and return the mails about keys that expire soon."""
    call_command("prune", verbosity=0)
    return [mail for mail in outbox() if mail.subject == events.KEY_EXPIRES.subject]


@proves("V6.4.5")
def test_the_owner_is_mailed_once_a_week_before_a_key_expires_and_can_lock_the_account(clock):
    alice = make_user("alice")
    key_of(alice, days=30, name="backup")
    key_of(alice)
    clock.advance(days=23, seconds=-1)
    assert expiry_mails() == []
    clock.advance(seconds=1)

    (mail,) = expiry_mails()

    assert mail.to == "alice@example.org"
    assert f"backup, {APIKey.objects.get(name='backup').expires_at:%Y-%m-%d}" in str(mail)
    clock.advance(days=3)
    assert len(expiry_mails()) == 1
    assert Client().post(path_of(mail.action_url)).status_code == 200
    assert not APIKey.objects.filter(user=alice).exists()

    key_of(make_user("carol"), days=3)
    User.objects.filter(username="carol").update(is_active=False)
    assert len(expiry_mails()) == 1, "none is sent to an inactive user"
