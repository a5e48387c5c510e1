"""Prometheus metrics. No label contains a name or email of a person, an IP address or a secret.

The metrics are in the memory of the process. Each label has a few values, which this site defines,
so that no client can fill the memory by requesting pages that do not exist.
"""

from functools import cache, partial

from django.conf import settings
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no type for it
_registry = CollectorRegistry()
ProcessCollector(registry=_registry)
_info = Info("authsite", "The version of the site.", registry=_registry)

ARGON2 = Info("authsite_argon2", "The build of Argon2 that hashes passwords.", registry=_registry)

_counter = partial(Counter, registry=_registry)
_gauge = partial(Gauge, registry=_registry)


class QueueMetrics:
    """The metrics of a queue that is sent to other servers."""

    def __init__(self, name: str, what: str) -> None:
        full, outcomes = f"authsite_{name}", "sent, failed and to be repeated, or given up."
        self.outcomes = _counter(full, f"{what}: {outcomes}", ["outcome"])
        self.waiting = _gauge(f"{full}_waiting", f"{what} waiting to be sent.")
        oldest = f"{what}: age of the oldest that waits; 0 if none waits."
        self.oldest = _gauge(f"{full}_oldest_seconds", oldest)


_requests = Histogram(
    "authsite_request_seconds",
    "Duration of requests, by route, method and status.",
    ["view", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=_registry,
)
EVENTS = _counter(
    "authsite_events", "Events recorded in the history of accounts, by kind.", ["kind"]
)
LIMITS_HIT = _counter(
    "authsite_limits_hit", "Requests refused because a limit was reached, by limit.", ["limit"]
)
HASHES_RUNNING = _gauge("authsite_hashes_running", "Passwords that are being hashed.")
HASHES_WAITING = _gauge("authsite_hashes_waiting", "Requests waiting to hash a password.")
HASHES_REFUSED = _counter(
    "authsite_hashes_refused", "Requests refused because no hash could start in time."
)
MAILS_WAITING = _gauge("authsite_mails_waiting", "Emails waiting to be sent, by queue.", ["queue"])
MAILS_OLDEST = _gauge(
    "authsite_mails_oldest_seconds",
    "Age of the oldest waiting email, by queue; 0 if none waits.",
    ["queue"],
)
MAILS_REFUSED = _gauge(
    "authsite_mails_refused",
    "Waiting emails whose recipients the mail server has refused, and then accepted no email.",
)
MAILS_LOST = _counter(
    "authsite_mails_lost",
    "Emails that were given up, because the recipient was refused, a code in them expired, or they "
    "were five days old.",
    ["cause"],
)
EXPORTS_WAITING = _gauge("authsite_exports_waiting", "Exports waiting to be made.")
EXPORTS_OLDEST = _gauge(
    "authsite_exports_oldest_seconds", "Age of the oldest waiting export; 0 if none waits."
)
SESSIONS = _gauge("authsite_sessions", "Live sessions, by kind.", ["kind"])
LAST_SUCCESS = _gauge(
    "authsite_last_success_timestamp_seconds",
    "When a scheduled command has last succeeded, by command; 0 if never.",
    ["command"],
)
CONNECTIONS = _gauge(
    "authsite_database_connections",
    "Connections to PostgreSQL, by the limit they count for.",
    ["limit"],
)
MOST_CONNECTIONS = _gauge(
    "authsite_database_connections_most",
    "Connections that each limit of PostgreSQL allows.",
    ["limit"],
)
LOGOUT_NOTICES = QueueMetrics("logout_notices", "Notices to apps that a session has ended")
WEBHOOKS = QueueMetrics("webhooks", "Webhooks")
READY = _gauge(
    "authsite_ready", "1 if the dependency is ready, else 0, by dependency.", ["dependency"]
)


def count_request(route: str, method: str | None, status: int, seconds: float) -> None:
    """Record the duration of a request. ``route`` is its URL pattern, or empty if none matched."""
    _series(route, method if method in METHODS else "other", status).observe(seconds)


def text() -> bytes:
    """Return all metrics in the Prometheus text format."""
    _info.info({"version": settings.VERSION})
    return generate_latest(_registry)


@cache
def _series(route: str, method: str, status: int) -> Histogram:
    return _requests.labels(route or "none", method, status)
