"""Many rows are deleted in short transactions."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.activity import services
from accounts.activity.models import Activity
from accounts.common import clock, database


@pytest.mark.django_db
def test_old_events_are_deleted_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BATCH", 2)
    monkeypatch.setattr(database, "AT_ONCE", 5)
    old = clock.now() - timedelta(days=400)
    Activity.objects.bulk_create(Activity(kind="signed_in", at=old) for _ in range(11))
    new = Activity.objects.create(kind="signed_in")

    with CaptureQueriesContext(connection) as queries:
        assert services.prune() == 11

    assert [row.pk for row in Activity.objects.all()] == [new.pk]
    deletes = [query for query in queries if query["sql"].startswith("DELETE")]
    # Of 5, 5 and 1 rows that are looked up at once, two a transaction.
    assert len(deletes) == 7
