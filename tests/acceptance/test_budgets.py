"""The limits for the cost of pages, sign-ins and requests."""

import re
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.activity.events import EVENTS, GROUPS
from accounts.activity.models import Activity
from accounts.sessions.models import LoginSession
from tests.support.second_factor import CHALLENGE, enrolled, unused_code
from tests.support.social import configured
from tests.support.steps import LOGIN, PASSWORD, address_of, make_user, sign_in

pytestmark = pytest.mark.production_hashes

KB = 1024
FIRST_STEP = {"login": "alice", "password": PASSWORD}


def test_the_sign_in_page_costs_no_query_and_no_session_and_is_small(
    client, django_assert_num_queries, settings
):
    """The site has four providers and a choice of language."""
    four = ("google", "github", "facebook", "twitter")
    configured(settings, **{f"{name}_client_id": "id" for name in four})
    configured(settings, **{f"{name}_client_secret": "secret" for name in four})
    client.cookies["last-method"] = "github"
    with django_assert_num_queries(0):
        page = client.get(f"{LOGIN}?next=/accounts/sessions/")

    assert page.text.count("Continue with") == 4
    assert "Deutsch" in page.text

    assert page.cookies.keys() == {"csrftoken"}
    sizes = Counter({"html": len(page.content)})
    for name in set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)):
        sizes[name.rpartition(".")[2]] += len(client.get(name).getvalue())
    assert sizes["html"] + sizes["css"] <= 18 * KB, sizes
    assert sizes["js"] <= 9 * KB, sizes


@pytest.mark.django_db(transaction=True)
def test_a_successful_sign_in_costs_one_hash_and_few_statements(client, hashes):
    """A sign-in costs fewer statements in a known browser."""
    make_user("alice")
    for login, most in (("alice", 22), (address_of("alice"), 17)):
        client.cookies.pop("sessionid", None)
        hashes.clear()

        with CaptureQueriesContext(connection) as statements:
            response = sign_in(client, login, remember="on")

        assert response.url == "/"
        assert hashes == ["verify"]
        assert len(statements) <= most, [query["sql"] for query in statements]


@pytest.mark.django_db(transaction=True)
def test_both_steps_of_a_sign_in_cost_one_hash_and_few_statements(client, hashes, clock):
    """The three requests are the password, the page that asks for a code, and the code."""
    alice = make_user("alice")
    enrolled(alice)
    for most in ((11, 11, 33), (10, 11, 31)):
        client.cookies.pop("sessionid", None)
        clock.advance(minutes=1)
        hashes.clear()
        code, spent = unused_code(alice), []

        for path, data in ((LOGIN, FIRST_STEP), (CHALLENGE, None), (CHALLENGE, {"code": code})):
            with CaptureQueriesContext(connection) as statements:
                response = client.post(path, data) if data else client.get(path)
            spent.append(len(statements))

        assert response.url == "/"
        assert hashes == ["verify"]
        assert all(n <= limit for n, limit in zip(spent, most, strict=True)), spent


def test_pages_stay_cheap_with_a_long_history_and_many_sessions(
    client, clock, django_assert_num_queries
):
    """Alice has 2,000 rows of history and 200 other sessions."""
    alice = make_user("alice")
    sign_in(client, "alice")
    here, kinds = LoginSession.objects.get(), list(EVENTS)
    Activity.objects.bulk_create(
        Activity(user=alice, kind=kinds[i % len(kinds)], ip="192.0.2.1", browser="Firefox")
        for i in range(2_000)
    )
    copied = ("agent", "browser", "amr", "auth_time", "idle_at", "ends_at")
    shared = {name: getattr(here, name) for name in copied}
    LoginSession.objects.bulk_create(LoginSession(user=alice, **shared) for _ in range(200))
    groups = [f"/accounts/activity/?group={group}" for group in GROUPS]
    pages = ["/", *groups, "/accounts/activity/", "/accounts/activity/?page=39"]
    pages += ["/accounts/sessions/", "/accounts/sessions/?page=4", "/accounts/lockdown/"]
    pages += [f"/accounts/{page}/" for page in ("password/change", "email", "profile")]
    for page in pages:
        with CaptureQueriesContext(connection) as statements:
            assert client.get(page).status_code == 200
        assert len(statements) < 25, page
    clock.advance(minutes=6)  # before, the home page finds out whether to offer a passkey
    client.get("/")  # writes when the session was last used
    for page, queries in (("/help/", 2), ("/", 8)):
        with django_assert_num_queries(queries):
            client.get(page)


def test_the_last_use_of_a_session_is_written_once_a_minute(client, clock):
    make_user("alice")
    sign_in(client, "alice")

    def writes():
        with CaptureQueriesContext(connection) as statements:
            assert client.get("/").status_code == 200
        return [query["sql"] for query in statements if not query["sql"].startswith("SELECT")]

    for _ in range(2):
        for _ in range(3):
            clock.advance(seconds=19)
            assert writes() == []
        clock.advance(seconds=3)
        (write,) = writes()
        assert write.startswith('UPDATE "accounts_loginsession"')
        assert LoginSession.objects.get().used_at == clock.now()
