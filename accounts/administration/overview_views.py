"""The overview in the admin: plots of sign-ins, failures, blocked attempts and waiting work."""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.activity import daily, events, history
from accounts.activity.daily import Kind
from accounts.administration.search import unconfirmed_signups
from accounts.common import clock
from accounts.common.proofs import Method
from accounts.mail import services as mail
from accounts.signin.adminsite import ListAdmin
from accounts.throttle import services as throttle
from accounts.twofactor import services as twofactor

HEIGHT = 100
WIDTH = 8  # of a column
PITCH = 10  # from one column to the next


class Span(StrEnum):
    """The time that one column stands for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


SPANS: dict[Span, str | Promise] = {
    Span.DAY: _("By day"),
    Span.WEEK: _("By week"),
    Span.MONTH: _("By month"),
}
COLUMNS = {Span.DAY: 14, Span.WEEK: 12, Span.MONTH: 12}


@dataclass(frozen=True)
class Series:
    """Numbers of a plot that are drawn in one colour. ``path``: the SVG path of their boxes."""

    label: str
    total: int
    path: str


@dataclass(frozen=True)
class Plot:
    """A plot of the overview.

    ``columns``: the label of each column, and its numbers in the order of ``series``.
    ``top``: the number at the top of the drawing.
    ``is_share``: whether the last series is the whole of which the others are parts.
    ``before``: the sum of all numbers in the preceding period of the same length; 0 if unknown.
        None if the columns are not periods: they are then drawn as rows.
    """

    key: str
    title: str | Promise
    series: Sequence[Series]
    columns: Sequence[tuple[str, Sequence[int]]]
    top: int
    is_share: bool
    before: int | None = None

    @property
    def change(self) -> str:
        """The change from the preceding period in percent; empty if nothing was counted then."""
        return f"{100 * (self.total / self.before - 1):+.0f}" if self.before else ""

    @property
    def rows(self) -> list[tuple[str, int, int]]:
        """For each column: the label, the sum without the last series, and the whole sum."""
        return [(label, sum(numbers[:-1]), sum(numbers)) for label, numbers in self.columns]

    @property
    def width(self) -> int:
        """The width of the drawing, in SVG units."""
        return PITCH * len(self.columns)

    @property
    def total(self) -> int:
        """The sum of all numbers."""
        return sum(series.total for series in self.series)

    @property
    def part(self) -> int:
        """The sum of all series except the last one."""
        return self.total - self.series[-1].total


def starts(span: Span, today: date, columns: int) -> list[date]:
    """Return the first days of the last columns, oldest first. The last one contains ``today``."""
    first = today
    if span is Span.WEEK:
        first = today - timedelta(days=today.weekday())
    if span is Span.MONTH:
        first = today.replace(day=1)
    found = [first]
    while len(found) < columns:
        before = found[-1] - timedelta(days=7 if span is Span.WEEK else 1)
        found.append(before.replace(day=1) if span is Span.MONTH else before)
    return found[::-1]


def over_time(
    key: str,
    title: str | Promise,
    days: Sequence[date],
    numbers: Mapping[tuple[date, str], int],
    shown: int,
) -> Plot:
    """Return a plot whose columns are periods.

    ``days``: the first days of the periods, as :func:`starts` returns them.
    ``numbers``: the number of each series on each day, by the day and the label of the series.
    ``shown``: how many of the last periods are drawn. Earlier ones are only added up.
    """
    columns: list[Counter[str]] = [Counter() for _day in days]
    for (day, label), number in numbers.items():
        if day >= days[0]:
            columns[bisect(days, day) - 1][label] += number
    before = sum(sum(column.values()) for column in columns[:-shown])
    labels = [label_of(day) for day in days[-shown:]]
    plot = stacked(key, title, zip(labels, columns[-shown:], strict=True))
    return replace(plot, before=before)


def stacked(
    key: str,
    title: str | Promise,
    columns: Iterable[tuple[str, Mapping[str, int]]],
    *,
    is_share: bool = False,
) -> Plot:
    """Return a plot with one column for each of ``columns``, which gives its label and its numbers.

    ``is_share``: whether all columns are equally high, because they show percentages.
    """
    columns = list(columns)
    sums: Counter[str] = Counter()
    for _name, numbers in columns:
        sums.update(numbers)
    legend = list(sums.items()) if is_share else sums.most_common()
    rows = [(name, [numbers.get(label, 0) for label, _sum in legend]) for name, numbers in columns]
    highest = max((sum(numbers) for _name, numbers in rows), default=0)
    unit = 10 ** (len(str(highest)) - 1)
    top = -(-highest // unit) * unit  # a round number
    series = [
        Series(
            label, total, _path([numbers for _name, numbers in rows], place, 0 if is_share else top)
        )
        for place, (label, total) in enumerate(legend)
    ]
    return Plot(key, title, series, rows, top, is_share)


def _path(columns: Sequence[Sequence[int]], place: int, top: int) -> str:
    """Return the path of the boxes of the series at ``place``.

    ``top``: the number at the top of the drawing, or 0 if each column reaches the top.
    """
    boxes = []
    for column, numbers in enumerate(columns):
        scale = HEIGHT / (top or sum(numbers) or 1)
        below, height = sum(numbers[:place]) * scale, numbers[place] * scale
        if height:
            start = f"M{column * PITCH} {HEIGHT - below:.1f}"
            boxes.append(f"{start}h{WIDTH}v-{height:.1f}h-{WIDTH}z")
    return "".join(boxes)


def label_of(day: date) -> str:
    """Return the date in words, for the axis of a plot."""
    return date_format(day, "SHORT_DATE_FORMAT")


type Counts = Mapping[tuple[date, Kind], int]

SIGN_INS = events.names(*events.SIGN_INS, *history.PROGRAM_SIGNED_IN)
METHODS: dict[str, str | Promise] = {
    Method.PASSWORD: gettext_lazy("Password"),
    Method.PASSKEY: gettext_lazy("Passkey"),
    Method.UNCONFIRMED_PASSKEY: gettext_lazy("Passkey"),
    Method.PROVIDER: gettext_lazy("Another site"),
    Method.MAIL: gettext_lazy("Email"),
}
REASONS: dict[str, str | Promise] = {
    events.SIGN_IN_FAILED.name: gettext_lazy("Wrong password or passkey"),
    events.FACTOR_FAILED.name: gettext_lazy("Second step"),
    events.FACTOR_FAILED_NEW.name: gettext_lazy("Second step"),
    events.FACTOR_BLOCKED.name: gettext_lazy("Second step"),
    events.PROOF_FAILED.name: gettext_lazy("Reauthentication"),
    events.PROOF_GUESSED.name: gettext_lazy("Reauthentication"),
    events.BROWSER_CHANGED.name: gettext_lazy("Session in another browser"),
    events.SESSION_STOPPED.name: gettext_lazy("Session in another browser"),
    events.TOKEN_REUSED.name: gettext_lazy("Copied token or passkey"),
    events.PASSKEY_SUSPECT.name: gettext_lazy("Copied token or passkey"),
}
# The events that a limit counts, by the beginning of the limit's name.
LIMITS: dict[str, str | Promise] = {
    "login": gettext_lazy("Passwords"),
    "proof": gettext_lazy("Passwords"),
    "passkey": gettext_lazy("Passkeys"),
    "factor": gettext_lazy("Codes"),
    "code": gettext_lazy("Codes"),
    "verify": gettext_lazy("Codes"),
    "mail": gettext_lazy("Emails"),
    "recovery": gettext_lazy("Emails"),
    "signup": gettext_lazy("Sign-ups"),
    "client": gettext_lazy("Secrets of apps"),
}


# Why an email was not sent.
FAILURES: dict[str, str | Promise] = {
    mail.EXPIRED: gettext_lazy("Expired before it could be sent"),
    mail.REFUSED: gettext_lazy("Refused by the mail server"),
}


class OverviewAdmin(ListAdmin):
    """The admin page that shows the overview instead of a list of daily counts."""

    pages = ("changelist",)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the plots by day, week or month, as the query parameter ``by`` says."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        by = request.GET.get("by")
        span = Span(by) if by in SPANS else Span.DAY
        context = {
            "opts": None,
            "spans": [(each.value, label, each is span) for each, label in SPANS.items()],
            "plots": plots(span),
            "mass_mails": mail.mass_mails(),
        }
        return self.page(request, "accounts/overview", gettext("Overview"), **context)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


def plots(span: Span) -> list[Plot]:
    """Return all plots of the overview. ``span``: the length of a period."""
    shown = COLUMNS[span]
    # Counts are kept for little more than a year, so nothing is compared with the year before.
    days = starts(span, clock.now().date(), shown if span is Span.MONTH else 2 * shown)
    counts = daily.counts(days[0], span)
    found = {
        "sign-ins": (gettext("Sign-ins by method"), _by(counts, _method)),
        "failures": (gettext("Failed attempts by reason"), _by(counts, _reason)),
        "blocked": (gettext("Attempts blocked by limits"), _blocked(days[0], span)),
        "sign-ups": (gettext("New accounts"), _by(counts, _new_account)),
        "lost": (gettext("Emails of the last 30 days that couldn’t be sent"), _lost_mails()),
    }
    over_days = [over_time(key, title, days, n, shown) for key, (title, n) in found.items()]
    return [_factor_coverage(), *over_days, _unconfirmed(), _backlog()]


def _by(
    counts: Counts, label_of: Callable[[Kind], str | Promise | None]
) -> Counter[tuple[date, str]]:
    found: Counter[tuple[date, str]] = Counter()
    for (day, kind), number in counts.items():
        if label := label_of(kind):
            found[day, str(label)] += number
    return found


def _method(kind: Kind) -> str | Promise | None:
    return METHODS.get(kind.method, gettext("Other")) if kind.event in SIGN_INS else None


def _reason(kind: Kind) -> str | Promise | None:
    return REASONS.get(kind.event) if kind.is_known else gettext("Unknown account")


def _new_account(kind: Kind) -> str | None:
    return gettext("New accounts") if kind.event == events.SIGNED_UP.name else None


def _blocked(since: date, span: Span) -> Counter[tuple[date, str]]:
    found: Counter[tuple[date, str]] = Counter()
    for day, limit, number in throttle.counts(since, span):
        found[day, str(LIMITS.get(limit.partition(".")[0], gettext("Other")))] += number
    return found


def _lost_mails() -> Counter[tuple[date, str]]:
    found: Counter[tuple[date, str]] = Counter()
    for day, failure, number in mail.failures():
        found[day, str(FAILURES.get(failure, gettext("Couldn’t be delivered")))] += number
    return found


def _unconfirmed() -> Plot:
    rows = unconfirmed_signups().order_by().values_list(TruncDate("expires_at"))
    columns = [
        (label_of(day), {gettext("Not confirmed"): number})
        for day, number in sorted(rows.annotate(Count("pk")))
    ]
    return stacked("unconfirmed", gettext("Unconfirmed sign-ups, by expiry date"), columns)


def _factor_coverage() -> Plot:
    columns = []
    day, accounts = twofactor.of_accounts()
    for kind, (number, with_factor, with_passkey) in accounts.items():
        name = gettext("Staff") if kind == daily.STAFF else gettext("People")
        with_other = with_factor - with_passkey
        series = {gettext("Passkey"): with_passkey, gettext("Other second factor"): with_other}
        columns.append((name, series | {gettext("Neither"): number - with_factor}))
    title = gettext("Accounts with a second factor or a passkey on %(day)s") % {
        "day": label_of(day)
    }
    return stacked("protection", title, columns, is_share=True)


def _backlog() -> Plot:
    labels = gettext("Under a minute"), gettext("Under an hour"), gettext("Under a day")
    waiting = {
        gettext("Codes and links"): mail.Queue.CODES,
        gettext("Notices"): mail.Queue.NOTICES,
        gettext("To others"): mail.Queue.STRANGERS,
        gettext("Mass mail"): mail.Queue.MASS,
    }
    ages = mail.ages()
    columns = [
        (label, {name: ages[queue][place] for name, queue in waiting.items()})
        for place, label in enumerate([*labels, gettext("Longer")])
    ]
    return stacked("mail", gettext("Emails waiting to be sent, by age"), columns)
