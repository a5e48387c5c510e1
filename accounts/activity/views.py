"""Shows the security history as a page, and exports it as CSV."""

import csv
from collections.abc import Iterator
from typing import cast

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.activity import history, services
from accounts.activity.events import GROUPS
from accounts.activity.models import Activity
from accounts.common import client_info
from accounts.common.pages import page_of
from accounts.common.text import defuse_formula
from accounts.users.models import User

AT_ONCE = 500


@never_cache
@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """List what happened to the account, newest first; ``?group=`` shows one group of events."""
    group = request.GET.get("group", "")
    page = page_of(request, lambda: services.of(cast(User, request.user), group))
    context = {
        "page": page,
        "days": history.by_days(page),
        "groups": GROUPS,
        "group": group,
        "kept_days": settings.AUTHSITE.activity_days,
    }
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
    yield writer.writerow(_headings())
    batch = list(rows[:AT_ONCE])
    while batch:
        for row in batch:
            yield writer.writerow([defuse_formula(cell) for cell in _cells(row)])
        batch = list(rows.filter(pk__lt=batch[-1].pk)[:AT_ONCE])


def _headings() -> list[str]:
    zone = timezone.get_current_timezone_name()
    headings = [_("Time (%(zone)s)") % {"zone": zone}, _("What happened"), _("Details")]
    headings += [_("Device"), _("IP address"), _("Confirmed with"), _("Done by"), _("Reason")]
    if settings.AUTHSITE.geoip_file:
        headings.insert(headings.index(_("Confirmed with")), _("Place"))
    return headings


def _cells(row: Activity) -> list[str]:
    entry = history.Entry([row])
    tags = [tag.text for tag in entry.tags if tag.text != entry.by]
    # The device and the IP address of a member of staff are private.
    ip = "" if row.actor else row.ip
    return [
        timezone.localtime(row.at).strftime("%Y-%m-%d %H:%M:%S"),
        entry.title,
        ", ".join([*tags, *([entry.detail] if entry.detail else [])]),
        str(row.device or ""),
        ip,
        *(
            [client_info.name(settings.AUTHSITE.geoip_file, ip)]
            if settings.AUTHSITE.geoip_file
            else []
        ),
        " ".join(filter(None, (row.proof_words, row.key))),
        entry.by,
        row.reason,
    ]
