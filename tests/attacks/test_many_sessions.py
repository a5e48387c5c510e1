"""Accounts with very many sessions, which a script makes that signs in for each call."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.sessions.models import LoginSession
from tests.support.api import get_tokens
from tests.support.nodes import database
from tests.support.races import confirmed
from tests.support.signin import set_up
from tests.support.site import Site
from tests.support.steps import LOGIN, PASSWORD, make_user, sql

CHANGE = "/accounts/password/change/"
NEW = "a lantern over seven wet roofs"
COUNT, AT_ONCE = 300_000, 5_000
COPY = f"""
from copy import copy
from uuid import uuid4
from accounts.sessions.models import LoginSession

def another():
    row = copy(one)
    row.pk = uuid4()
    return row

one = LoginSession.objects.get()
for _ in range({COUNT} // {AT_ONCE}):
    LoginSession.objects.bulk_create(another() for _ in range({AT_ONCE}))
"""


@pytest.mark.django_db
def test_a_sign_in_at_the_maximum_takes_at_most_a_fifth_more_statements(settings):
    def statements():
        with CaptureQueriesContext(connection) as queries:
            for _ in range(40):
                assert get_tokens().status == 200
        return len(queries)

    make_user("alice")
    set_up(settings, limits_scale=1000, max_sessions=40)
    below = statements()

    assert statements() <= 1.2 * below
    assert 30 < LoginSession.objects.filter(ended_at=None).count() <= 40


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_new_password_revokes_300_000_sessions_at_once(kind, tmp_path, request):
    """Withstands a thief in the account."""
    with Site(data_dir=tmp_path, LIMITS_SCALE="1000", **database(request, kind)) as site:
        owner = confirmed((site, site), "alice")
        site.manage("shell", "--no-imports", "-c", COPY)
        assert sql(site, "SELECT count(*) FROM accounts_loginsession")[0][0] == COUNT + 1

        assert owner.post(CHANGE, {"password1": NEW}).status == 302

        live = "SELECT count(*) FROM accounts_loginsession WHERE ended_at IS NULL"
        assert sql(site, live)[0][0] == 1
        former = {"login": "alice", "password": PASSWORD}
        assert site.client().post(LOGIN, former).status == 200
        assert site.client().post(LOGIN, {**former, "password": NEW}).status == 302
