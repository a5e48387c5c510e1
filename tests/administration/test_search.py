"""The list of people, and the page about a person."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.administration.search import STATES, search_signups, search_users
from accounts.apikeys import services as apikeys
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.pages import PAGE_SIZE
from accounts.emails import services as emails
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.sessions import services as sessions
from accounts.sessions.current import RequestAuth, set_api_auth
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Passkey
from accounts.users import services as users
from accounts.users.models import Identity, PendingSignup, User
from authsite.errors import server_error
from tests.support.administration import HERE, LIST, desk, page_of
from tests.support.api_keys import key_of, row_of
from tests.support.apps import connect_app, make_app
from tests.support.lockdown import switch_off
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user, sign_up
from tests.support.webauthn import registered


def test_people_are_found_by_what_they_or_others_may_know():
    """That is each name and email, also former ones, and the ids of what belongs to them."""
    alice = make_user("alice")
    make_user("bob")
    key = row_of(key_of(alice))
    emails.add(alice, "pending@work.example", HERE)
    users.confirm_email(alice, "former@old.example")
    emails.remove(alice, alice.emails.latest("pk").pk, Actor(HERE))
    alice.refresh_from_db()
    Identity.objects.create(user=alice, issuer="https://id.example", subject="Subject-17")
    at_an_app = alice.pairwise_subjects.create(sector="shop.example.org")
    signed_in(alice)
    users.rename(alice, "alba")

    known = ["Alba", "alb", "ALICE", "ALICE@example.org", "Pending@Work.example"]
    known += ["former@OLD.example", key.beginning, "Subject-17"]
    read_out = " ".join(str(alice.pk).upper().split("-"))
    for text in (*known, alice.pk, read_out, alice.login_sessions.get().pk, at_an_app.pk):
        assert list(search_users(f" {text} ")) == [alice], text


def ask_for_recovery(user):
    now = clock.now()
    Recovery.objects.create(user=user, asked_at=now, asked=[["mailbox", user.email]])


def ask_support(user):
    shown = [[["mailbox", user.email]]]
    Recovery.objects.create(user=user, at_support=shown, support_asked_at=clock.now())


PLANTED: dict[str, Callable[[User], Any]] = {
    "unconfirmed": lambda user: User.objects.filter(pk=user.pk).update(email=""),
    "no_factor": lambda _user: None,
    "locked": lambda user: lock_down(user, Actor()),
    "switched_off": switch_off,
    "deletion": lambda user: User.objects.filter(pk=user.pk).update(deletion_due=clock.now()),
    "staff": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
    "never_seen": lambda user: User.objects.filter(pk=user.pk).update(last_login=None),
    "dispute": ask_support,
    "recovery": ask_for_recovery,
}


@pytest.mark.parametrize("state", STATES)
def test_people_are_filtered_by_their_state(state):
    alice = make_user("alice", last_login=clock.now())
    enrolled(make_user("alina", last_login=clock.now()))
    if state != "no_factor":
        enrolled(alice)

    PLANTED[state](alice)

    assert [found.username for found in search_users("ali", state)] == ["alice"]
    assert search_users("ali", "no such state").count() == 0


def test_the_list_of_people_without_a_second_factor_follows_every_change():
    alice = make_user("alice")

    def is_listed():
        return search_users("alice", "no_factor").exists()

    registered(alice)
    passkey = Passkey.objects.get()
    for confirmed in (False, True):
        passkey.confirmed = confirmed
        passkey.save(update_fields=["confirmed", "made_at"])
        assert is_listed() is not confirmed
    enrolled(alice)
    passkey.delete()
    assert not is_listed()
    twofactor.reset(alice, Actor())
    assert is_listed()


def test_sign_ups_are_found_before_they_are_confirmed(client):
    sign_up(Client(), "alice")
    signup = PendingSignup.objects.get()
    signed_in(make_staff("carol"), client)

    for query in ("ali", "Alice@example.org", "lice@", "aliec@example", str(signup.pk)):
        assert list(search_signups(query)) == [signup], query
    sents = [{"q": "ali"}, {"state": "unconfirmed"}, {"q": "bob"}]
    for sent, is_found in zip(sents, (True, True, False), strict=True):
        assert (page_of(signup) in client.get(LIST, sent).text) is is_found, sent


@pytest.mark.parametrize(
    "query",
    [
        *("smith", "ob.smit", "SMITH@example", "Robert Grö", "größer"),
        # A letter is another one, is missing, is too many, or two are in the wrong order.
        *("bob.smyth", "bobsmith", "bob.smitth", "bob.smiht@", "obb.smith", "Robret Grö"),
        *("bob.smith@exemple.org", "bob.smith@example.ogr"),
    ],
)
def test_a_part_of_a_name_or_address_finds_people_despite_one_error(query):
    bob = make_user("bob.smith", display_name="Robert Größer")
    make_user("alice")

    assert list(search_users(query)) == [bob]


def test_a_whole_address_finds_nobody_whose_address_is_longer():
    bob, jacob = make_user("bob"), make_user("jacob")

    assert list(search_users("bob@example.org")) == [bob]
    assert set(search_users("ob@example.org")) == {bob, jacob}


def test_staff_who_see_shortened_addresses_find_nobody_by_a_part_of_one():
    """Otherwise they could find out an address letter by letter."""
    bob = make_user("bob")
    User.objects.filter(pk=bob.pk).update(email="secret.name@work.example")
    bob.emails.update(email="secret.name@work.example", key="secret.name@work.example")
    sign_up(Client(), "alice")

    for query in ("secret.name", "secret.nmae@work.example", "ecret.name@work.example"):
        assert search_users(query).exists()
        assert not search_users(query, all_emails=False).exists()
    assert not search_signups("lice@example.org", all_emails=False).exists()
    assert search_users("secret.name@work.example", all_emails=False).exists()


def test_a_search_from_another_page_opens_the_only_person_who_matches():
    bob, browser = make_user("bob"), desk()

    assert browser.get(f"{LIST}find/", {"q": "bob"}).url == page_of(bob)
    carol = User.objects.get(username="carol")
    assert carol.activity.filter(kind="people_shown", detail="1").count() == 1
    make_user("bobby")
    for query in ("bob", "nobody else"):
        assert browser.get(f"{LIST}find/", {"q": query}).url == f"{LIST}?{urlencode({'q': query})}"


def test_the_page_of_a_group_lists_its_members_and_counts_them_as_shown():
    bob, browser = make_user("bob"), desk("Superuser")
    bob.groups.add(group := Group.objects.create(name="Editors"))

    assert page_of(bob) in browser.get(f"/admin/auth/group/{group.pk}/change/").text

    carol = User.objects.get(username="carol")
    assert carol.activity.get(kind="people_shown").detail == "1"
    clerk = signed_in(make_user("clerk", is_staff=True))
    assert clerk.get(f"{LIST}find/", {"q": "bob"}).status_code == 403
    assert 'id="find"' not in clerk.get("/admin/").text, "the first page offers no search"


def test_the_list_shows_states_in_words_and_costs_the_same_for_more_people():
    browser, costs = desk(), []
    for number in (1, 9):
        for n in range(number):
            lock_down(make_user(f"alice{number}{n}"), Actor())
        with CaptureQueriesContext(connection) as queries:
            page = browser.get(LIST, {"q": "alice"}).text
        costs.append(len(queries))

    assert costs[0] == costs[1]
    assert page.count('<span class="chip tag warn">Locked</span>') == 10
    assert "10 results" in page


def test_a_search_that_names_nobody_finds_nobody():
    make_user("alice")

    for query in ("word " * 1500, "%", "_", "alice bob", "aliec@example.com", "\u202ealice"):
        assert not search_users(query).exists(), query
        assert not search_users(f"{query}\0").exists(), query


def _fill(user, number):
    """Give ``user`` more of all that the page about the user shows."""
    for n in range(number):
        client = ClientInfo(f"192.0.{number}.{n}", "Firefox")
        record(user, events.SIGN_IN_FAILED, Actor(client))
        record(user, events.SIGNED_IN, Actor(client))
        users.confirm_email(user, f"alice{number}{n}@example.org")
        apikeys.make(user, "Key", frozenset({"profile:read"}), None, Actor(client))
        signed_in(user)
        browser = sessions.live(user).exclude(sessions.IS_APP)[0]
        connect_app(browser, make_app(f"App {n}"))
    enrolled(user)


def test_the_page_about_a_person_costs_as_much_with_one_session_as_with_ten():
    alice, browser = make_user("alice"), desk()
    counts = []
    Activity.objects.bulk_create(Activity(user=alice, kind="renamed") for _ in range(PAGE_SIZE))
    for number in (1, 9):
        _fill(alice, number)
        browser.get(page_of(alice))  # records that the page was opened
        with CaptureQueriesContext(connection) as queries:
            browser.get(page_of(alice))
        counts.append(len(queries))

    # Both histories have a second page, so their rows are counted.
    assert counts[1] == counts[0] <= 37


def opens_page(staff, person):
    browser = signed_in(User.objects.get(pk=staff.pk), Client())
    assert browser.get(page_of(person)).status_code == 200


def views(person):
    """Return who opened the page about ``person`` in which role, oldest first."""
    rows = person.activity.filter(kind="page_opened").order_by("pk")
    return list(rows.values_list("actor", "detail"))


def test_each_member_of_staff_appears_once_an_hour(clock):
    alice, carol, dora = make_user("alice"), make_staff("carol"), make_staff("dora")

    for staff in (carol, carol, dora):
        opens_page(staff, alice)
    opens_page(carol, carol)
    clock.advance(minutes=59)
    opens_page(carol, alice)
    assert views(alice) == [("carol", "superuser"), ("dora", "superuser")]

    clock.advance(minutes=1)
    opens_page(carol, alice)
    assert views(alice)[2:] == [("carol", "superuser")]
    assert views(carol) == [], "the own page"


def code_on(answer):
    """Return the support code on a page, and the end of the request's id."""
    [code] = re.findall(r"<code>(\w{4}-\w{4}-\w{6})</code>", answer.text)
    return code, answer["X-Request-ID"][-6:]


@pytest.mark.parametrize("path", ["/help/", "/no-such-page/"])
def test_a_support_code_names_the_account_and_the_request(path, settings):
    alice, carol, before = make_user("alice"), desk(), settings.SECRET_KEY
    make_user("bob")

    code, end = code_on(signed_in(alice).get(path))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = f"new {before}", [before]

    for typed in (code, code.lower().replace("-", " ")):
        assert list(search_users(typed)) == [alice]
        page = carol.get(LIST, {"q": typed}).text
        assert page_of(alice) in page
        assert f"the ID of the request ends with <code>{end}</code>" in page


def test_the_page_of_an_unexpected_error_names_the_account_without_a_query(
    rf, django_assert_num_queries
):
    alice, request = make_user("alice"), rf.get("/")
    signed_in(alice)
    set_api_auth(request, RequestAuth(alice.login_sessions.get()))

    with django_assert_num_queries(0):
        answer = server_error(request)

    [code] = re.findall(r"\w{4}-\w{4}-\w{6}", answer.text)
    assert list(search_users(code)) == [alice]


def test_the_support_code_of_a_stranger_names_the_request_only():
    code, end = code_on(Client().get("/help/"))

    page = desk().get(LIST, {"q": code}).text
    assert f"the ID of the request ends with <code>{end}</code>. Nobody was signed in" in page


def test_a_support_code_tells_others_nothing(settings):
    """Withstands a spy.

    Two codes of one account have nothing in common, and without the key they are random.
    """
    browser = signed_in(make_user("alice"))
    codes = [code_on(browser.get("/help/"))[0] for _ in range(2)]
    settings.SECRET_KEY = "that of mallory" * 4

    assert codes[0][:9] != codes[1][:9]
    assert not any(search_users(code).exists() for code in codes)
