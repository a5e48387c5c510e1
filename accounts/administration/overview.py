"""The admin's overview: how people sign in, what fails, what is blocked, and what waits."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity import daily, events
from accounts.activity.daily import Kind
from accounts.administration.plots import SPANS, Plot, Span, label_of, over_time, stacked, starts
from accounts.common import clock
from accounts.common.proofs import Method
from accounts.mail import services as mail
from accounts.throttle import refusals
from accounts.twofactor import protection

type Counts = Mapping[tuple[date, Kind], int]

SIGN_INS = {
    event.name
    for event in (
        events.SIGNED_IN,
        events.SIGNED_IN_NEW,
        events.SIGNED_IN_NETWORK,
        events.CLIENT_SIGNED_IN,
        events.CLIENT_SIGNED_IN_NEW,
    )
}
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
# What a limit counts, by the beginning of its name.
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


class OverviewAdmin(admin.ModelAdmin):
    """Shows the overview in place of a list of daily counts."""

    def get_urls(self) -> list[URLPattern]:
        """Return the URL of the overview only."""
        return [url for url in super().get_urls() if str(url.name).endswith("_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the plots by day, week or month, as the parameter ``by`` says."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        by = request.GET.get("by")
        span = Span(by) if by in SPANS else Span.DAY
        context = {
            **self.admin_site.each_context(request),
            "title": _("Overview"),
            "spans": [(each.value, label, each is span) for each, label in SPANS.items()],
            "plots": plots(span),
        }
        return render(request, "admin/accounts/overview.html", context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def plots(span: Span) -> list[Plot]:
    """Return all plots of the overview. Those over time have columns of length ``span``."""
    days = starts(span, clock.now().date())
    counts = daily.counts(days[0], span)
    return [
        over_time("sign-ins", _("Sign-ins by method"), days, _by(counts, _method)),
        over_time("failures", _("Failed attempts by reason"), days, _by(counts, _reason)),
        over_time("blocked", _("Attempts blocked by limits"), days, _blocked(days[0], span)),
        over_time("sign-ups", _("New accounts"), days, _by(counts, _new_account)),
        _protection(),
        _backlog(),
    ]


def _by(
    counts: Counts, label_of: Callable[[Kind], str | Promise | None]
) -> Counter[tuple[date, str]]:
    found: Counter[tuple[date, str]] = Counter()
    for (day, kind), number in counts.items():
        if label := label_of(kind):
            found[day, str(label)] += number
    return found


def _method(kind: Kind) -> str | Promise | None:
    return METHODS.get(kind.method, _("Other")) if kind.event in SIGN_INS else None


def _reason(kind: Kind) -> str | Promise | None:
    return REASONS.get(kind.event) if kind.is_known else _("Unknown account")


def _new_account(kind: Kind) -> str | None:
    return _("New accounts") if kind.event == events.SIGNED_UP.name else None


def _blocked(since: date, span: Span) -> Counter[tuple[date, str]]:
    found: Counter[tuple[date, str]] = Counter()
    for day, limit, number in refusals.counts(since, span):
        found[day, str(LIMITS.get(limit.partition(".")[0], _("Other")))] += number
    return found


def _protection() -> Plot:
    columns = []
    day, accounts = protection.of_accounts()
    for is_staff, held in accounts.items():
        name = _("Staff") if is_staff else _("People")
        with_other = held.with_factor - held.with_passkey
        without = held.accounts - held.with_factor
        series = {_("Passkey"): held.with_passkey, _("Other second factor"): with_other}
        columns.append((name, series | {_("Neither"): without}))
    title = _("Accounts with a second factor or a passkey on %(day)s") % {"day": label_of(day)}
    return stacked("protection", title, columns, is_share=True)


def _backlog() -> Plot:
    labels = (_("Under a minute"), _("Under an hour"), _("Under a day"), _("Longer"))
    waiting = {_("To members"): mail.Queue.MEMBERS, _("To others"): mail.Queue.STRANGERS}
    ages = mail.ages()
    columns = [
        (label, {name: ages[queue][place] for name, queue in waiting.items()})
        for place, label in enumerate(labels)
    ]
    return stacked("mail", _("Emails waiting to be sent, by age"), columns)
