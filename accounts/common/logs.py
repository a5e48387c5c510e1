"""Structured logs that contain no secrets and cannot be forged (ASVS 16.2.5, 16.4.1).

Each event of the site or of a library is one line: JSON in production, plain text in development.
A line that belongs to a request contains the id of the request.
"""

import json
import logging
import logging.config
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as in_ascii
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

# The id of the request that the current thread handles.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

# Pages with a secret as the last part of their path. The log shows these paths without the secret.
_PAGES = (
    "confirm-email|invitation|owner|lockdown|password/reset|email/confirm|2fa/recovery|2fa/enrol"
)
SECRET_PATHS = re.compile(rf"(/accounts/(?:{_PAGES})/)[^/\s\"']+")
# Matches API keys, secrets of apps, tokens and parts of tokens, even if a client encodes some
# characters in a URL. Ordinary words are shorter.
TOKENS = re.compile(
    r"uthsite_(?:client_)?[a-z2-7]{8,}|[a-z2-7]{50,}|[\w-]{72,}", re.ASCII | re.IGNORECASE
)
# Match the parts of a request's path that may be secret: all that follows one of ``_PAGES``, and
# words that are as long as a secret.
_REST = re.compile(rf"(/accounts/(?:{_PAGES})/)/*[^/].*", re.DOTALL)
_LONG = re.compile(r"[\w-]{40,}", re.ASCII)
# All of these match only texts that are as long as this or contain ``/accounts/`` or ``uthsite_``.
_LONG_ENOUGH = 40


def redact(text: str) -> str:
    """Return ``text`` with the secrets of links, tokens and API keys replaced by ``[secret]``."""
    if _is_harmless(text):
        return text
    return TOKENS.sub("[secret]", SECRET_PATHS.sub(r"\1[secret]", text))


def redact_path(path: str) -> str:
    """Return the path of a request with every possible secret replaced by ``[secret]``."""
    if _is_harmless(path):
        return path
    return _LONG.sub("[secret]", _REST.sub(r"\1[secret]", path))


def _is_harmless(text: str) -> bool:
    """Return whether ``text`` certainly contains no secret. Patterns take longer to find that."""
    is_short = len(text) < _LONG_ENOUGH
    return is_short and "/accounts/" not in text and "uthsite_" not in text.lower()


def escape(text: str) -> str:
    """Return ``text`` with backslash escapes for unprintable characters, such as line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def configure(config: dict[str, Any]) -> None:
    """Configure the loggers of a server process, and log exceptions that end a thread."""
    logging.config.dictConfig(config)
    threading.excepthook = _log_thread_error


def _log_thread_error(failed: threading.ExceptHookArgs) -> None:
    name = failed.thread.name if failed.thread else ""
    log = logging.getLogger(__name__)
    log.error("The thread %s has failed", name, exc_info=failed.exc_value)


def formatter(*, development: bool) -> logging.Formatter:
    """Return the formatter for handlers of the standard library's ``logging`` module."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _clean,
            *_line(development=development),
        ],
    )


def requests_log(*, development: bool, level: str = "INFO") -> Callable[..., None]:
    """Return a function that logs a request with the given values.

    It logs nothing if ``level`` is above ``INFO``.

    Its lines have the format of :func:`formatter`. It bypasses the loggers of the standard library
    and of structlog, which take several times as long as writing the line.
    """
    if logging.getLevelNamesMapping()[level] > logging.INFO:
        return lambda **_values: None
    line_of = _request_in_words if development else _request_in_json

    def write(**values: Any) -> None:
        line = line_of(values)
        # A full disk or a closed pipe must not fail the request.
        with suppress(OSError, ValueError, AttributeError):
            # In one call, so that lines of threads do not mix.
            sys.stderr.write(f"{line}\n")

    return write


_REQUEST = {"event": "request", "logger": "authsite.requests"}
_REQUEST_IN_JSON = json.dumps({**_REQUEST, "level": "info"})[1:-1]


def _request_in_words(values: EventDict) -> Any:
    line: Any = {**_clean(None, "info", values), **_REQUEST}
    for process in _line(development=True):
        line = process(None, "info", line)
    return line


def _request_in_json(values: EventDict) -> str:
    """Return the line that the processors of :func:`_line` make, in a third of their time."""
    shown = [f'"{name}": {_as_json(value)}' for name, value in values.items()]
    when, request_id = datetime.now(UTC).isoformat()[:-6], in_ascii(REQUEST_ID.get())
    rest = f'{_REQUEST_IN_JSON}, "timestamp": "{when}Z", "request_id": {request_id}'
    return f"{{{', '.join(shown)}, {rest}}}"


def _as_json(value: Any) -> str:
    is_number = isinstance(value, (int, float))
    return str(value) if is_number else in_ascii(redact(str(value)))


def _line(*, development: bool) -> list[Processor]:
    when = "%Y-%m-%d %H:%M:%S" if development else "iso"
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt=when, utc=True),
        _add_request_id,
        _in_words if development else _in_json,
    ]


def _clean(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Redact all values except numbers. Objects are converted to text and redacted, too."""
    for name, value in event.items():
        if not isinstance(value, (int, float)):
            event[name] = redact(str(value))
    return event


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get():
        event["request_id"] = request_id
    return event


_encode = json.JSONEncoder().encode


def _in_json(_logger: Any, _method: str, event: EventDict) -> str:
    # The encoder writes printable ASCII, so that no value can end the line or control a terminal.
    return _encode(event)


def _in_words(_logger: Any, _method: str, event: EventDict) -> str:
    """Return a line like ``2026-01-01 12:00:00 INFO django.request message name=value``."""
    head = [event.pop("timestamp"), event.pop("level").upper(), event.pop("logger")]
    trace = event.pop("exception", "")
    text = [event.pop("event"), *(f"{name}={_quoted(value)}" for name, value in event.items())]
    return escape(" ".join([*head, *text, trace]).rstrip())


def _quoted(value: Any) -> str:
    """Quote a value that could otherwise be read as another field."""
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)
