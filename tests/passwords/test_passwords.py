"""Passwords."""

import hashlib
import logging
import operator
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.activity.models import Activity
from accounts.common.errors import Busy
from accounts.ops import public_views
from accounts.passwords import changes, hashers, strength
from accounts.passwords import services as passwords
from accounts.passwords.changes import Reset
from accounts.passwords.services import is_compromised
from accounts.passwords.strength import measure
from accounts.throttle.limits import LOGIN_REPEAT, STRENGTH_NETWORK
from accounts.users.models import User
from tests.support.api_steps import mailed_proof, reset
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    SIGNUP,
    address_of,
    is_signed_in,
    mail_to,
    make_user,
    outbox,
    path_of,
    sign_in,
)

URL = "/accounts/password/strength/"
GOOD = "three teapots on a train"
# Each symbol can stand for several letters, so that there are many variants to try.
WORST = ("4@8({[<369&#!1/|0$5+7%2" * 4)[:72]


@pytest.fixture
def every_slot_taken(monkeypatch):
    monkeypatch.setattr(hashers, "WAIT_SECONDS", 0.01)
    with ExitStack() as taken:
        while hashers._slots.acquire(blocking=False):
            taken.callback(hashers._slots.release)
        yield


def test_hashing_threads_of_a_process_of_low_priority_keep_it():
    """Linux lets nobody but root raise it: the threads would end, and every sign-in would wait."""

    def niceness():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        return hashers.HashingThreads(1).run(lambda: os.getpriority(os.PRIO_PROCESS, 0))

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness).result() == 15


@pytest.mark.usefixtures("every_slot_taken")
def test_a_sign_in_gets_429_with_retry_after_while_all_hashing_slots_are_busy(client):
    """Withstands a flood."""
    answer = client.post("/accounts/login/", {"login": "alice", "password": "whatever it is"})

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert client.get("/accounts/login/").status_code == 200, "other pages answer"


def test_a_reset_over_the_api_while_all_hashing_slots_are_busy_uses_up_no_code(alice, monkeypatch):
    """Withstands a failure."""
    seed = enrolled(alice)
    proof = {**mailed_proof("password/reset/"), "factor_code": code_of(seed)}
    with monkeypatch.context() as busy:
        busy.setattr(hashers, "in_slot", Mock(side_effect=Busy(3)))
        assert reset(**proof).short == (429, "busy")

    assert reset(**proof).status == 200


def test_one_emailed_link_hashes_a_limited_number_of_passwords(alice, clock):
    """Each request with a wrong second factor costs a hash."""
    enrolled(alice)
    mailed_proof("password/reset/")
    token = path_of(outbox()[-1].action_url).split("/")[-2]

    answers = [reset(token=token).code for _ in range(LOGIN_REPEAT.burst + 1)]

    assert answers == ["second_factor_required"] * LOGIN_REPEAT.burst + ["throttled"]


def test_a_reset_offers_to_remove_factors_only_if_there_are_some_and_the_proofs_suffice(alice):
    def offers_removal(email_key):
        return changes._progress(Reset(alice, "", email_key, changes.LINK)).offers_removal

    assert not offers_removal(address_of("alice"))
    enrolled(alice)
    assert not offers_removal(changes.NO_EMAIL)


@proves("V15.2.2", "V15.4.1")
def test_passwords_are_hashed_in_at_most_one_thread_per_core():
    """Each hashing thread keeps 19 MiB of memory, so that sixteen would keep 300 MiB."""
    hashed_in = together(16, lambda _n: hashers.in_slot(threading.get_ident))

    assert len(set(hashed_in)) <= (os.cpu_count() or 1)
    assert threading.get_ident() not in hashed_in


@proves("V15.4.1")
def test_a_failed_hash_releases_its_slot():
    for _ in range(20):
        with pytest.raises(ValueError, match="at most"):
            passwords.hash_password("x" * 1025)

    assert passwords.verify("a password", passwords.hash_password("a password"))


@proves("V1.1.1", "V6.2.8", "63B-3.1.1.2-b")
def test_composed_and_decomposed_characters_are_the_same_password():
    composed, decomposed = "caf\u00e9 au lait, please", "cafe\u0301 au lait, please"

    assert passwords.verify(decomposed, passwords.hash_password(composed))


def _hash(password):
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()


@pytest.fixture
def copy_of(tmp_path, settings):
    def make(content):
        path = tmp_path / "pwned.txt"
        if content is not None:
            path.write_bytes(content)
        set_up(settings, pwned_passwords_file=str(path))
        return path

    return make


@proves("V6.2.4", "V6.2.12", "63B-3.1.1.2-e")
@pytest.mark.parametrize("known", ["password1234", "PassWord1234"])
def test_a_common_password_is_refused_in_any_case(known):
    """Withstands a guesser."""
    with pytest.raises(ValidationError, match="attackers try first"):
        validate_password(known, User(username="alice"))


def test_the_list_of_common_passwords_is_sorted_so_that_it_can_be_searched():
    data, size = passwords.COMMON.read_bytes(), passwords.RECORD_BYTES
    records = [data[at : at + size] for at in range(0, len(data), size)]

    assert all(map(operator.lt, records, records[1:]))
    assert not is_compromised(GOOD)


@proves("V6.2.12", "63B-3.1.1.2-e")
@pytest.mark.parametrize("end, last_end", [(b"\n", b""), (b"\r\n", b"\r\n")])
def test_the_local_have_i_been_pwned_file_is_searched_exactly(copy_of, end, last_end):
    members = [f"known password {n}" for n in range(500)]
    lines = sorted(b"%s:%d" % (_hash(p), 10 ** (n % 8)) for n, p in enumerate(members))
    copy_of(end.join(lines) + last_end)

    assert all(map(is_compromised, members))
    assert not any(is_compromised(f"unknown password {n}") for n in range(500))
    # Passwords are normalized before they are looked up, as they are before they are hashed.
    copy_of(_hash("caf\u00e9 au lait, please") + b":1" + end)
    assert is_compromised("cafe\u0301 au lait, please")
    assert not is_compromised("Known password 1")


@pytest.mark.parametrize("content", [b"", b"\n", b"\x1f\x8b" + b"\xff" * 100_000, None])
def test_an_invalid_pwned_passwords_file_fails_the_check_but_refuses_no_password(
    client, copy_of, content, caplog
):
    """Withstands an operator's mistake."""
    copy_of(content)

    faults = [fault for fault in run_checks() if "PWNED_PASSWORDS_FILE" in fault.msg]
    assert len(faults) == 1
    data = {"username": "alice", "email": address_of("alice"), "password1": GOOD}
    assert client.post(SIGNUP, data).status_code == 302
    assert ("PWNED_PASSWORDS_FILE can't be read" in caplog.text) is (content is None)
    assert GOOD not in caplog.text
    copy_of(_hash("known password 1") + b":3\r\n")
    assert run_checks() == [], "a valid file passes"


@proves("V6.2.11")
@pytest.mark.parametrize("word", [settings.AUTHSITE.site_name, settings.AUTHSITE.hostname])
def test_a_password_made_of_the_sites_name_is_refused(word):
    for password in (f"{word.upper()}-2026", f"{word}{word}", f"12{word}34!"):
        with pytest.raises(ValidationError, match="name of this site"):
            validate_password(password, User(username="alice"))

    validate_password(f"{word} {GOOD}", User(username="alice"))


def request_strength(client, password, **more):
    return client.post(URL, {"password": password, **more}).json()


@proves("V6.2.1", "63B-3.1.1.2-f")
def test_the_meter_returns_a_score_a_label_and_advice(client):
    assert request_strength(client, GOOD) == {"score": 4, "label": "Very good.", "advice": ""}
    weak = request_strength(client, "gabrielagabriela7")
    assert (weak["score"] < 3, weak["label"]) == (True, "Easy to guess.")
    assert weak["advice"].startswith("Repetition doesn’t help much.")
    refused = request_strength(client, "xK9#pQ2!vB7")
    assert refused == {**refused, "score": 0, "advice": "Use at least 12 characters."}
    # Words from the person's own form fields make a password weaker.
    own = request_strength(client, "malloryfzwq.7781", word=["Mallory.Fzwq@example.org"])
    assert own["score"] < request_strength(client, "malloryfzwq.7781")["score"]


def test_a_measured_password_is_not_logged_and_measuring_needs_a_csrf_token(caplog):
    """Withstands a thief with the database."""
    caplog.set_level(logging.DEBUG)

    assert request_strength(Client(), GOOD)["score"] == 4
    assert Client(enforce_csrf_checks=True).post(URL, {"password": GOOD}).status_code == 403
    assert Client().get(URL).status_code == 405
    assert GOOD not in caplog.text


def test_strength_measurements_are_limited_per_network(client):
    """Withstands a flood."""
    times = STRENGTH_NETWORK.burst + 1
    answers = [client.post(URL, {"password": "short"}).status_code for _ in range(times)]

    assert answers == [200] * STRENGTH_NETWORK.burst + [429]


def test_only_the_first_72_characters_are_measured_in_bounded_time():
    begun = time.process_time()
    assert measure(WORST + WORST * 1000).score == 4
    assert time.process_time() - begun < 2


def test_passwords_are_measured_one_at_a_time(monkeypatch):
    monkeypatch.setattr(strength, "WAIT_SECONDS", 0.01)

    with strength._measuring, pytest.raises(strength.Busy):
        measure(GOOD)

    assert measure(GOOD).score == 4


def test_only_pages_with_a_strength_meter_may_send_requests_by_script(client):
    assert "connect-src" not in client.get("/accounts/login/")["Content-Security-Policy"]
    for page in (SIGNUP, path_of(str(public_views.new_link()))):
        assert "connect-src 'self'" in client.get(page)["Content-Security-Policy"]
    signed_in(make_user("alice"), client)
    assert "connect-src 'self'" in client.get(CHANGE)["Content-Security-Policy"]


CHANGE, SET, PROOF = (
    f"/accounts/{page}/" for page in ("password/change", "password/set", "reauthenticate")
)
NEW = "a lantern over seven wet roofs"
STOLEN = "password1234"


def remove_password(user):
    User.objects.filter(pk=user.pk).update(password="!")
    user.refresh_from_db()


def post_password(client, page=CHANGE, password=NEW, **more):
    return client.post(page, {"password1": password}, **more)


def works(password):
    return str(sign_in(Client(), "alice", password).headers.get("Location")) == "/"


def has_changed(user):
    before = user.password
    user.refresh_from_db()
    return user.password != before


@proves("V6.2.2", "V7.4.3")
def test_changing_the_password_revokes_all_other_sessions_and_keeps_this_one(client, alice):
    """Withstands a thief in the account."""
    elsewhere, thief = [signed_in(alice), signed_in(alice)], Client()
    signed_in(alice, client)
    thief.cookies["sessionid"] = former = client.cookies["sessionid"].value

    assert "You’ll be signed out on your 2 other devices." in client.get(CHANGE).text
    post_password(client)

    assert is_signed_in(client)
    assert not any(map(is_signed_in, elsewhere))
    assert client.cookies["sessionid"].value != former
    assert not is_signed_in(thief)
    assert [works(password) for password in (PASSWORD, NEW)] == [False, True]


def test_password_changes_in_one_session_are_limited(client, alice, clock):
    """Each change costs a hash, as does each reauthentication by password."""
    signed_in(alice, client)
    changes = [
        client.post(CHANGE, {"password1": f"{NEW} {n}"}).status_code
        for n in range(LOGIN_REPEAT.burst + 1)
    ]

    assert changes == [302] * LOGIN_REPEAT.burst + [429]


@proves("V6.3.7")
def test_a_password_change_is_mailed_to_the_owner_and_recorded_with_its_proof(client, alice):
    assert signed_in(alice, client).get(SET).url == CHANGE
    assert post_password(client, SET).url == CHANGE
    assert not has_changed(alice), "the page for a first password needs an account without one"
    post_password(client)

    assert mail_to("alice").subject == "Your password was changed"
    assert "/accounts/lockdown/" in str(mail_to("alice").body)
    row = Activity.objects.get(kind="password_changed")
    assert (row.user, row.proof, row.actor) == (alice, "pwd", "")


@proves("V6.2.3")
@pytest.mark.parametrize("page", [CHANGE, SET])
def test_an_old_proof_leads_to_reauthentication_and_changes_nothing(client, clock, alice, page):
    """Withstands a thief with a cookie."""
    if page == SET:
        remove_password(alice)
    signed_in(alice, client)
    clock.advance(minutes=10, seconds=1)

    assert client.get(page).url == post_password(client, page).url == f"{PROOF}?next={page}"

    assert not has_changed(alice)
    assert not Activity.objects.filter(kind__startswith="password").exists()


GUESSABLE = {
    STOLEN: "attackers try first",
    "alice@example.org1": "too similar",
    "authsite2026": "name of this site",
    "elevenchars": "at least 12",
    "x" * 1025: "at most 1024",
}


@proves("V6.2.11")
def test_a_guessable_password_is_refused_and_revokes_no_session(client, alice):
    elsewhere = signed_in(alice)
    signed_in(alice, client)

    for password, says in GUESSABLE.items():
        page = post_password(client, password=password).text
        assert re.search(rf'<a href="#id_password1">[^<]*{says}', page), password
        assert password not in page

    assert not has_changed(alice)
    assert is_signed_in(elsewhere)


def test_setting_a_first_password_revokes_all_other_sessions(client, alice):
    remove_password(alice)
    elsewhere = signed_in(alice)
    signed_in(alice, client)

    assert client.get(CHANGE).url == SET
    assert post_password(client, CHANGE).url == SET
    assert not has_changed(alice)
    post_password(client, SET)

    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert works(NEW)


def test_signing_in_with_a_stolen_password_leads_to_a_change_and_then_on(client):
    make_user("alice", password=STOLEN)

    answer = sign_in(client, "alice", STOLEN, next="/accounts/profile/")

    assert answer.url == f"{CHANGE}?reason=stolen&next=%2Faccounts%2Fprofile%2F"
    assert "Your password is on a list of stolen passwords" in client.get(answer.url).text
    assert post_password(client, answer.url).url == "/accounts/profile/"
    assert not works(STOLEN)
    assert works(NEW)


@proves("V6.2.10", "63B-3.1.1.2-c")
def test_a_password_that_leaked_after_it_was_chosen_is_noticed_at_the_next_sign_in(
    alice, monkeypatch
):
    assert works(PASSWORD)
    monkeypatch.setattr(passwords, "is_pwned", lambda password: password == PASSWORD)

    assert sign_in(Client(), "alice").url.startswith(CHANGE)


def test_the_stolen_password_warning_appears_only_after_signing_in_with_one():
    """A good password does not cause it, nor does a stolen one that is not the account's."""
    make_user("alice")
    make_user("bob", password=STOLEN)

    for login, password in (("alice", PASSWORD), ("alice", STOLEN), ("bob", "")):
        client = Client()
        answer = sign_in(client, login, password)
        pages = answer.text + client.get(LOGIN, follow=True).text

        assert answer.headers.get("Location", "/") == "/"
        assert "stolen" not in pages
