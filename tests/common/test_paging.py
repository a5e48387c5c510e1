"""Long lists in pages."""

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.activity import services
from accounts.activity.models import Activity
from accounts.common.api import PAGE_SIZE, page_of
from tests.support.steps import make_user


@pytest.mark.django_db
def test_a_late_page_is_read_from_the_nearer_end() -> None:
    alice = make_user("alice")
    Activity.objects.bulk_create(Activity(user=alice, kind="signed_in") for _ in range(2_620))
    expected = list(services.of(alice))

    for number in (1, 20, 30, 52, 53):
        with CaptureQueriesContext(connection) as queries:
            page = page_of(RequestFactory().get("/", {"page": number}), services.of(alice))
            shown = list(page)
        start = (number - 1) * PAGE_SIZE
        assert shown == expected[start : start + PAGE_SIZE]
        assert ("ASC" in queries[-1]["sql"]) is (number >= 30)
        assert (page.number, page.has_next()) == (number, number < 53)
