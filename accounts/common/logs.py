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
from typing import Any, override

# The id of the request that the current thread handles.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
# The id of the request's trace (W3C Trace Context); empty if it has none.
TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")

# Pages whose path ends with a secret. The log shows these paths without the secret.
_PAGES = (
    r"/(?:oauth/continue|accounts/(?:confirm-email|invitation|owner|lockdown|password/reset|"
    r"delete/undo|email/confirm|email/refuse|2fa/recovery|2fa/enrol))"
)
SECRET_PATHS = re.compile(rf"({_PAGES}/)[^/\s\"']+")
# Matches API keys, client secrets, tokens and parts of tokens, even if a client percent-encodes
# some characters in a URL. Ordinary words are shorter.
TOKENS = re.compile(
    r"uthsite_(?:client_|register_)?[a-z2-7]{8,}|[a-z2-7]{50,}|[\w-]{72,}", re.ASCII | re.IGNORECASE
)
# These match the parts of a request's path that may be secret: everything after one of ``_PAGES``,
# and words that are as long as a secret.
_REST = re.compile(rf"({_PAGES}/)/*[^/].*", re.DOTALL)
_LONG = re.compile(r"[\w-]{40,}", re.ASCII)
# Each of these patterns matches only texts that have at least this length or contain
# ``/accounts/``, ``/oauth/`` or ``uthsite_``.
_LONG_ENOUGH = 40
_NONE: dict[str, str] = {}


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
    """Return whether ``text`` certainly contains no secret, which is faster than the patterns."""
    if len(text) >= _LONG_ENOUGH or "/accounts/" in text or "/oauth/" in text:
        return False
    return "uthsite_" not in text.lower()


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


class Formatter(logging.Formatter):
    """Formats events of the standard library's ``logging`` module."""

    def __init__(self, *, development: bool) -> None:
        super().__init__()
        self._line_of = _in_words if development else _in_json

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        values = {"event": record.getMessage(), "logger": record.name, "level": level}
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return self._line_of(values)


def requests_log(*, development: bool, level: str = "INFO") -> Callable[..., None]:
    """Return a function that logs a request with the given values.

    It logs nothing if ``level`` is above ``INFO``.

    Its lines have the format of :class:`Formatter`. It bypasses the loggers of the standard
    library, which take several times as long as writing the line.
    """
    if logging.getLevelNamesMapping()[level] > logging.INFO:
        return lambda **_values: None
    line_of = _in_words if development else _in_json

    def write(**values: Any) -> None:
        line = line_of(values, _REQUEST)
        # A full disk or a closed pipe must not fail the request.
        with suppress(OSError, ValueError, AttributeError):
            # A single call, so that lines of several threads do not mix.
            sys.stderr.write(f"{line}\n")

    return write


_REQUEST = {"event": "request", "logger": "authsite.middleware", "level": "info"}


def _in_json(values: dict[str, Any], trusted: dict[str, str] = _NONE) -> str:
    """Return an event as a line of JSON: ``values`` without secrets, and the texts ``trusted``."""
    items = [f'"{name}": {_as_json(value)}' for name, value in values.items()]
    items += [f'"{name}": "{text}"' for name, text in trusted.items()]
    items.append(f'"timestamp": "{datetime.now(UTC).isoformat()[:-6]}Z"')
    if request_id := REQUEST_ID.get():
        items.append(f'"request_id": {in_ascii(request_id)}')
    if trace_id := TRACE_ID.get():
        items.append(f'"trace_id": "{trace_id}"')
    return f"{{{', '.join(items)}}}"


def _as_json(value: Any) -> str:
    if isinstance(value, (int, float)):
        return str(value)
    # Printable ASCII, so that no value can end the line or control a terminal.
    return in_ascii(redact(str(value)))


def _in_words(values: dict[str, Any], trusted: dict[str, str] = _NONE) -> str:
    """Return a line such as ``2026-01-01 12:00:00 INFO django.request message name=value``."""
    event = {name: redact(str(value)) for name, value in values.items()} | trusted
    if request_id := REQUEST_ID.get():
        event["request_id"] = request_id
    if trace_id := TRACE_ID.get():
        event["trace_id"] = trace_id
    time = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    head = [time, event.pop("level").upper(), event.pop("logger"), event.pop("event")]
    trace = event.pop("exception", "")
    more = [f"{name}={_quoted(value)}" for name, value in event.items()]
    return escape(" ".join([*head, *more, trace]).rstrip())


def _quoted(text: str) -> str:
    """Return ``text``, in quotes if it could be read as another field."""
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)
