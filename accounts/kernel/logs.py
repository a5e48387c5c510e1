"""Log lines that say what happened and can't be made to say more (ASVS 16.4.1, 16.2.5)."""

import logging
import re

# Paths whose last part opens something: the line says which page, never the secret.
_PAGES = "confirm-email|owner|lockdown|password/reset|email/confirm|2fa/recovery"
SECRET_PATHS = re.compile(rf"(/accounts/(?:{_PAGES})/)[^/\s\"']+")
# An API key, a token of the API or a part of one, in whatever spelling a client put it into an
# address: no word is as long.
TOKENS = re.compile(r"uthsite_[a-z2-7]{8,}|[a-z2-7]{50,}|[\w-]{72,}", re.ASCII | re.IGNORECASE)


class OneLine(logging.Formatter):
    """One event, one line: what a client sent can't begin a line or move a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, control characters escaped, secrets of links, tokens and keys taken out."""
        line = SECRET_PATHS.sub(r"\1[secret]", super().format(record))
        return escape(TOKENS.sub("[secret]", line))


def escape(text: str) -> str:
    """``text`` with everything that isn't printable as a backslash escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
