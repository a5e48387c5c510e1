"""Log lines that say what happened and can't be made to say more (ASVS 16.4.1, 16.2.5).

One event, one line: JSON in production, words in development; of what is logged here and of what
libraries log. The line of an event that belongs to a request has that request's id.
"""

import json
import logging
import re
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

# Of the request that this thread answers.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

# Paths whose last part opens something: the line says which page, never the secret.
_PAGES = "confirm-email|owner|lockdown|password/reset|email/confirm|2fa/recovery|2fa/enrol"
SECRET_PATHS = re.compile(rf"(/accounts/(?:{_PAGES})/)[^/\s\"']+")
# An API key, a token of the API or a part of one, in whatever spelling a client put it into an
# address: no word is as long.
TOKENS = re.compile(r"uthsite_[a-z2-7]{8,}|[a-z2-7]{50,}|[\w-]{72,}", re.ASCII | re.IGNORECASE)
# What is shorter holds neither.
HARMLESS = 15
# In an address that was asked for, whatever follows such a page or is as long as a secret.
_REST = re.compile(rf"(/accounts/(?:{_PAGES})/)/*[^/].*", re.DOTALL)
_LONG = re.compile(r"[\w-]{40,}", re.ASCII)


def redact(text: str) -> str:
    """``text`` without secrets of links, tokens and keys."""
    if len(text) <= HARMLESS:
        return text
    return TOKENS.sub("[secret]", SECRET_PATHS.sub(r"\1[secret]", text))


def redact_path(path: str) -> str:
    """The path of a request for its line, which is to hold nothing that opens anything."""
    if len(path) <= HARMLESS:
        return path
    return _LONG.sub("[secret]", _REST.sub(r"\1[secret]", path))


def escape(text: str) -> str:
    """``text`` with everything that isn't printable as a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def formatter(*, development: bool) -> logging.Formatter:
    """For the standard library's handlers, which everybody's events go through."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_line(development=development),
        ],
    )


def requests_log(*, development: bool) -> Any:
    """Where each request gets its line: the same lines, past the standard library.

    Its handlers cost several times what the line itself does.
    """
    return structlog.wrap_logger(
        _Stderr(),
        processors=_line(development=development),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind(logger="authsite.requests")


class _Stderr:
    """Whatever the error stream is now; a line is one write, so that no other gets into it."""

    def info(self, line: str) -> None:
        # A full disk, a reader that is gone: the answer is made, and goes out all the same.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")


def _line(*, development: bool) -> list[Processor]:
    when = "%Y-%m-%d %H:%M:%S" if development else "iso"
    return [
        _clean,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt=when, utc=True),
        _add_request_id,
        _in_words if development else _in_json,
    ]


def _clean(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Numbers and texts, and the texts without secrets; an object might say anything later."""
    for name, value in event.items():
        if not isinstance(value, int | float):
            event[name] = redact(str(value))
    return event


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get():
        event["request_id"] = request_id
    return event


_encode = json.JSONEncoder().encode


def _in_json(_logger: Any, _method: str, event: EventDict) -> str:
    """ASCII, so that nothing in it moves a cursor or is read as the end of the line."""
    return _encode(event)


def _in_words(_logger: Any, _method: str, event: EventDict) -> str:
    """``2026-01-01 12:00:00 INFO django.request what happened name=value``, one line as well."""
    head = [event.pop("timestamp"), event.pop("level").upper(), event.pop("logger")]
    trace = event.pop("exception", "")
    text = [event.pop("event"), *(f"{name}={_quoted(value)}" for name, value in event.items())]
    return escape(" ".join([*head, *text, trace]).rstrip())


def _quoted(value: Any) -> str:
    """What a client sent reads as no other field."""
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)
