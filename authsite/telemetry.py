"""Sends traces by OpenTelemetry and errors to Sentry, if the operator has installed their packages.

Neither gets personal data or secrets. A span contains the route of its request instead of the path,
and statements without values. An event for Sentry contains only the members that are listed here:
the types of the exceptions and their lines of code, but no messages, variables, URLs, headers or
bodies.

The environment variables are those of OpenTelemetry and Sentry.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.common import logs, metrics, secrets

log = logging.getLogger(__name__)

# W3C Trace Context, section 3.2: the version, the ids of the trace and the parent, and flags. Ids
# that consist of zeros are invalid.
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
OTLP = "opentelemetry.exporter.otlp.proto.http"
LONGEST_STATEMENT = 2000

# The members of an event for Sentry, of its exceptions and of their stack frames.
EVENT = (
    *("event_id", "timestamp", "level", "logger", "platform"),
    *("release", "environment", "server_name", "sdk"),
)
EXCEPTION = ("type", "module", "mechanism")
FRAME = (
    *("filename", "abs_path", "function", "module", "lineno", "in_app"),
    *("pre_context", "context_line", "post_context"),
)

_nothing = nullcontext()
# The tracer, and the package ``opentelemetry.trace``; None if no traces are sent.
_tracer: Any = None
_trace: Any = None


def start() -> None:
    """Start the exporters that the environment variables configure."""
    _start_traces()
    if os.environ.get("SENTRY_DSN") and _is_installed("sentry_sdk", "SENTRY_DSN"):
        to_log = import_module("sentry_sdk.integrations.logging").LoggingIntegration
        # Errors are logged, including errors of threads. Other integrations would read requests.
        import_module("sentry_sdk").init(
            release=os.environ.get("SENTRY_RELEASE") or f"authsite@{settings.VERSION}",
            default_integrations=False,
            integrations=[to_log(level=None, event_level=logging.ERROR)],
            send_default_pii=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
            auto_session_tracking=False,
            before_send=_without_data,
        )


def span(traceparent: str | None) -> AbstractContextManager[object]:
    """Return a context manager for a request, whose log lines contain the id of its trace.

    ``traceparent``: the header, which any client may send. It is ignored if it is invalid, and
        never decides whether the trace is recorded.
    """
    given = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    # The short path handles the request and has already begun a span.
    if (given is None and _tracer is None) or logs.TRACE_ID.get():
        return _nothing
    return _span(given)


@contextmanager
def _span(given: re.Match[str] | None) -> Iterator[None]:
    with _recorded(given) if _tracer else nullcontext(given and given[1]) as trace_id:
        token = logs.TRACE_ID.set(trace_id or "")
        try:
            yield
        finally:
            logs.TRACE_ID.reset(token)


def describe(method: str | None, route: str, status: int) -> None:
    """Add the result of the current request to its span."""
    if _tracer is None:
        return
    known = method if method in metrics.METHODS else "_OTHER"
    current = _trace.get_current_span()
    current.update_name(f"{known} {route}".rstrip())
    attributes = {"http.request.method": known, "http.response.status_code": status}
    if route:
        attributes["http.route"] = route
    current.set_attributes({**attributes, "authsite.request_id": logs.REQUEST_ID.get()})
    if status >= 500:
        current.set_status(_trace.StatusCode.ERROR)


def _start_traces() -> None:
    global _trace, _tracer  # noqa: PLW0603 read at each request
    variable = next(filter(os.environ.get, ENDPOINTS), "")
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off |= os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    if is_off or not variable or not _is_installed(OTLP, variable):
        return
    sdk, export = map(import_module, ("opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export"))
    resource = import_module("opentelemetry.sdk.resources").Resource
    exporter = import_module(f"{OTLP}.trace_exporter").OTLPSpanExporter
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        os.environ.setdefault("OTEL_SERVICE_NAME", "authsite")
    provider = sdk.TracerProvider(resource=resource.create({"service.version": settings.VERSION}))
    provider.add_span_processor(export.BatchSpanProcessor(exporter()))
    provider.sampler = _Sampler(provider.sampler)
    _trace = import_module("opentelemetry.trace")
    _tracer = provider.get_tracer("authsite", settings.VERSION)


class _Sampler:
    """Calls the operator's sampler as if no client had sent a ``traceparent``.

    Otherwise a client could decide that all of its requests are recorded, or none.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def should_sample(self, parent: Any, trace_id: int, *args: Any, **options: Any) -> Any:
        if _trace.get_current_span(parent).get_span_context().is_remote:
            parent, trace_id = None, int(secrets.hexadecimal(16), 16)
        return self._sampler.should_sample(parent, trace_id, *args, **options)

    def get_description(self) -> str:
        return str(self._sampler.get_description())


@contextmanager
def _recorded(given: re.Match[str] | None) -> Iterator[str]:
    """Begin a span that records the statements within the context; return the id of its trace."""
    parent = None
    if given:
        ids = (int(part, 16) for part in given.groups())
        remote = _trace.SpanContext(*ids, is_remote=True)
        parent = _trace.set_span_in_context(_trace.NonRecordingSpan(remote))
    kind = _trace.SpanKind.SERVER
    with _child("request", parent, kind=kind) as span, connection.execute_wrapper(_statement):
        yield _trace.format_trace_id(span.get_span_context().trace_id)


def _statement(execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
    text = str(sql)[:LONGEST_STATEMENT]
    attributes = {"db.system.name": connection.vendor, "db.query.text": text}
    name = text.split(None, 1)[0]
    with _child(name, None, kind=_trace.SpanKind.CLIENT, attributes=attributes):
        return execute(sql, *args)


@contextmanager
def _child(name: str, parent: Any, **options: Any) -> Iterator[Any]:
    """Begin a span as the current one. It records no messages of exceptions, only their types."""
    options |= {"record_exception": False, "set_status_on_exception": False}
    with _tracer.start_as_current_span(name, parent, **options) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__qualname__)
            raise


def _without_data(event: Mapping[str, Any], _hint: object) -> dict[str, Any]:
    """Return ``event`` with only the listed members."""
    clean = _only(event, EVENT)
    found = event.get("exception", {}).get("values", ())
    exceptions = [
        {**_only(each, EXCEPTION), "stacktrace": {"frames": _frames(each)}} for each in found
    ]
    if exceptions:
        clean["exception"] = {"values": exceptions}
    # The text in the code, without the values that are put into it.
    if message := event.get("logentry", {}).get("message"):
        clean["logentry"] = {"message": logs.redact(str(message))}
    clean["tags"] = {"request_id": logs.REQUEST_ID.get(), "trace_id": logs.TRACE_ID.get()}
    return clean


def _frames(exception: Mapping[str, Any]) -> list[dict[str, Any]]:
    frames = (exception.get("stacktrace") or {}).get("frames", ())
    return [_only(frame, FRAME) for frame in frames]


def _only(values: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _is_installed(package: str, variable: str) -> bool:
    try:
        if find_spec(package):
            return True
    except ModuleNotFoundError:  # a package above it is missing
        pass
    log.error("%s is set, but the package is not installed: %s", variable, package)
    return False
