"""Reads files of other systems record by record, in memory that does not grow with the file.

For a record that is too long or damaged, a ``BadRow`` is returned in its place, and reading
continues. The records are separated here, because no library for JSON or CSV limits the length of a
record.
"""

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isinf
from typing import Any, BinaryIO

from accounts.imports.parts import BadRow

LONGEST_RECORD = 1 << 20
LONGEST_NAME = 100
CHUNK = 1 << 16
FIRST_YEAR = 1970
# No database stores NUL, and no encoding has surrogates.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_STRUCTURE = re.compile(rb'["\\{}\[\]]')
_OPENING, _CLOSING = b"{[", b"}]"
_BETWEEN = b" \t\r\n,"

type Records = Iterator[Record | BadRow]


class Record:
    """A record: its members by name. Each method raises ``BadRow`` if the type is wrong."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members

    def text(self, *names: str) -> str:
        """Return the first of the members that is neither missing nor null, or an empty string."""
        for name in names:
            value = self.members.get(name)
            if value is None:
                continue
            if isinstance(value, (dict, list)):
                raise BadRow(f"The member {name} is not a text.")
            return str(value)
        return ""

    def number(self, name: str) -> int:
        """Return a member that is a whole number, or 0."""
        try:
            return int(self.text(name) or 0)
        except ValueError:
            raise BadRow(f"The member {name} is not a number.") from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return whether a member is true: a JSON value, or a word that databases use for it."""
        word = self.text(name).lower()
        if word in {"true", "t", "1", "yes"}:
            return True
        if word in {"false", "f", "0", "no"}:
            return False
        if word:
            raise BadRow(f"The member {name} is neither true nor false.")
        return default

    def time(self, name: str) -> datetime | None:
        """Return a time in ISO 8601, or in milliseconds since 1970; None if it is missing."""
        text = self.text(name).strip()
        # MySQL writes the zero date for a missing time.
        if text in {"", "0000-00-00 00:00:00"}:
            return None
        try:
            if text.isascii() and text.isdigit():
                return datetime.fromtimestamp(int(text) / 1000, UTC)
            moment = datetime.fromisoformat(text.replace(" UTC", "Z"))
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise BadRow(f"The member {name} is not a time.") from None
        if moment.year < FIRST_YEAR:
            raise BadRow(f"The member {name} is before {FIRST_YEAR}.")
        return moment

    def record(self, name: str) -> "Record":
        """Return a member that is an object or a JSON text of one; an empty record if missing."""
        value = self.members.get(name)
        if isinstance(value, str) and value:
            return _record(value.encode())
        if not isinstance(value or {}, dict):
            raise BadRow(f"The member {name} is not an object.")
        return Record(value or {})

    def records(self, name: str) -> list["Record"]:
        """Return a member that is a list of objects."""
        return [Record(item) for item in self.items(name, dict)]

    def texts(self, name: str) -> list[str]:
        """Return a member that is a list of texts."""
        texts: list[str] = self.items(name, str)
        if any(map(_UNSTORABLE.search, texts)):
            raise BadRow(f"The member {name} has a character that cannot be stored.")
        return texts

    def items(self, name: str, *kinds: type) -> list[Any]:
        """Return a member that is a list of values of these types."""
        items = self.members.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, kinds) for item in items):
            raise BadRow(f"The member {name} is not a list, or has values of a wrong type.")
        return items


def json_lines(file: BinaryIO) -> Records:
    """Yield the object in each line that is not empty."""
    for line in _lines(file):
        if isinstance(line, BadRow) or line.strip():
            yield _tried(line)


def json_list(file: BinaryIO, member: str = "") -> Records:
    """Yield the objects of the list that the file, or its member ``member``, contains."""
    for item in _items(file, member.encode()):
        yield _tried(item)


def csv_rows(file: BinaryIO, columns: dict[str, str]) -> Records:
    """Yield the rows of a CSV file with a header. ``columns``: other names for its columns.

    Each line is a row, so that an unclosed quote damages only its own row.

    Raises:
        BadRow: the file has no header.
    """
    header: list[str] = []
    for line in _lines(file):
        try:
            fields = _fields(line)
        except BadRow as error:
            if not header:
                raise
            yield error
            continue
        if not header:
            header = [columns.get(name, name) for name in fields]
            if len(set(header)) < len(header):
                raise BadRow("A column of the header occurs twice.")
        elif len(fields) == len(header):
            yield Record(dict(zip(header, fields, strict=True)))
        elif fields:
            yield BadRow(f"The row has {len(fields)} fields; the header has {len(header)}.")
    if not header:
        raise BadRow("The file has no header.")


def _fields(line: bytes | BadRow) -> list[str]:
    if isinstance(line, BadRow):
        raise line
    try:
        text = line.decode()
        if _UNSTORABLE.search(text):
            raise BadRow("The row has a character that cannot be stored.")
        return next(csv.reader([text], strict=True), [])
    except UnicodeDecodeError:
        raise BadRow("The row is not UTF-8.") from None
    except csv.Error as error:
        raise BadRow(f"This is no row of a CSV file: {error}.") from None


def _lines(file: BinaryIO) -> Iterator[bytes | BadRow]:
    while line := file.readline(LONGEST_RECORD):
        if line.endswith(b"\n") or len(line) < LONGEST_RECORD:
            yield line.removeprefix(b"\xef\xbb\xbf")
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_RECORD)
        yield BadRow("The line is too long.")


def _tried(data: bytes | BadRow) -> Record | BadRow:
    try:
        return data if isinstance(data, BadRow) else _record(data)
    except BadRow as error:
        return error


def _record(data: bytes) -> Record:
    """Return the object in ``data``.

    Raises:
        BadRow: ``data`` is not a JSON object, or a member occurs twice.
    """
    try:
        value = json.loads(
            data, object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite
        )
    except RecursionError:
        raise BadRow("The record is nested too deeply.") from None
    except ValueError:
        raise BadRow("The record is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRow("The record is not an object.")
    return Record(value)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BadRow("A member occurs twice.")
    if any(isinstance(value, str) and _UNSTORABLE.search(value) for value in members.values()):
        raise BadRow("A member has a character that cannot be stored.")
    return members


def _refuse(_constant: str) -> None:
    raise ValueError


def _finite(text: str) -> float:
    """Return the number ``text``; refuse infinity, as which Python reads 1e400."""
    number = float(text)
    if isinf(number):
        raise ValueError
    return number


class _Items:
    """Finds the items of a list in chunks of a JSON document.

    It only follows strings, brackets and braces; items are parsed later.

    ``member``: the name of the document's member that contains the list; empty if the document is
        the list.
    """

    def __init__(self, member: bytes) -> None:
        self.member = member
        self.is_inside = self.was_found = False
        self._level = 2 if member else 1
        self._depth = 0
        self._in_string = False
        # The offset of a character after a backslash.
        self._escaped = -1
        self._offset = 0
        # The last string, or its beginning in earlier chunks.
        self._string = b""
        self._item: bytearray | None = None
        self._is_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes | BadRow]:
        """Yield the items that end in ``chunk``."""
        # Where the current string begins, and where the current item or the text between two items
        # begins.
        begun = kept = 0
        for match in _STRUCTURE.finditer(chunk):
            at, character = match.start(), match[0]
            if self._in_string:
                self._in_string = not self._ends_string(at, character)
                self._string += b"" if self._in_string else chunk[begun:at]
            elif character == b'"':
                self._in_string, self._string, begun = True, b"", at + 1
            elif character in _OPENING:
                self._depth += 1
                if self._begins_list(character):
                    self.is_inside = self.was_found = True
                    kept = at + 1
                elif self.is_inside and self._depth == self._level + 1:
                    yield from self._between(chunk[kept:at])
                    self._item, kept, self._is_long = bytearray(), at, False
            elif character in _CLOSING:
                if self._item is not None and self._depth == self._level + 1:
                    self._keep(chunk[kept : at + 1])
                    yield BadRow("The record is too long.") if self._is_long else bytes(self._item)
                    self._item, kept = None, at + 1
                elif self._depth == self._level:
                    yield from self._between(chunk[kept:at])
                self.is_inside = self.is_inside and self._depth > self._level
                self._depth -= 1
        if self._item is None:
            yield from self._between(chunk[kept:])
        else:
            self._keep(chunk[kept:])
        if self._in_string:
            # The string is cut, because names of members are short.
            self._string = (self._string + chunk[begun:])[:LONGEST_NAME]
        self._offset += len(chunk)

    def _between(self, text: bytes) -> Iterator[BadRow]:
        """Yield an error if there is anything except commas between two items."""
        if self.is_inside and text.strip(_BETWEEN):
            yield BadRow("The record is not an object.")

    def _ends_string(self, at: int, character: bytes) -> bool:
        position = at + self._offset
        if position == self._escaped:
            return False
        if character == b"\\":
            self._escaped = position + 1
        return character == b'"'

    def _begins_list(self, character: bytes) -> bool:
        if self.was_found or character != b"[" or self._depth != self._level:
            return False
        return not self.member or self._string == self.member

    def _keep(self, part: bytes) -> None:
        if self._item is None or self._is_long:
            return
        self._is_long = len(self._item) + len(part) > LONGEST_RECORD
        if not self._is_long:
            self._item += part


def _items(file: BinaryIO, member: bytes) -> Iterator[bytes | BadRow]:
    items = _Items(member)
    while chunk := file.read(CHUNK):
        yield from items.feed(chunk)
    if items.is_inside:
        yield BadRow("The file ends in the middle of the list.")
    elif not items.was_found:
        raise BadRow("The file does not contain the list.")
