"""Shows the security history as a page, and exports it as CSV."""

import csv
from collections.abc import Iterator
from typing import cast

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.activity import services
from accounts.activity.events import GROUPS
from accounts.activity.models import Activity
from accounts.common.paging import page_of
from accounts.common.text import defuse_formula
from accounts.users.models import User

HEAD = ["time", "event", "sentence", "address", "device", "proof", "session", "actor", "detail"]
AT_ONCE = 500


@never_cache
@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """List what happened to the account, newest first; ``?group=`` shows one group of events."""
    group = request.GET.get("group", "")
    rows = services.of(cast(User, request.user), group)
    context = {"page": page_of(request, rows), "groups": GROUPS, "group": group}
    return render(request, "accounts/activity/activity.html", context)


@never_cache
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Return the history as CSV (RFC 4180); ``?group=`` selects one group of events."""
    rows = services.of(cast(User, request.user), request.GET.get("group", ""))
    return StreamingHttpResponse(
        _lines(rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="activity.csv"'},
    )


class _Echo:
    """A file object for the CSV writer; ``write`` returns the line instead of storing it."""

    def write(self, line: str) -> str:
        return line


def _lines(rows: QuerySet[Activity]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(HEAD)
    for row in rows.iterator(AT_ONCE):
        yield writer.writerow([defuse_formula(cell) for cell in _cells(row)])


def _cells(row: Activity) -> list[str]:
    is_owners = not row.actor
    return [
        row.at.isoformat(timespec="seconds"),
        row.kind,
        str(row.event.sentence),
        row.ip if is_owners else "",
        str(row.device or ""),
        f"{row.proof} {row.key}".strip(),
        str(row.session or "") if is_owners else "",
        row.actor,
        row.detail,
    ]
