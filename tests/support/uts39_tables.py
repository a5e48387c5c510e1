"""``python -m tests.support.uts39_tables FOLDER``: write ``accounts/users/uts39.json`` (UTS 39).

FOLDER must contain the files in :data:`FILES`, all from one version of Unicode. They are published
at https://www.unicode.org/Public/VERSION/ucd/ and
https://www.unicode.org/Public/security/VERSION/.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from accounts.users.usernames import TABLES

# ``tables`` unpacks the texts of the files in this order.
FILES = (
    "IdentifierStatus.txt",
    "DerivedCoreProperties.txt",
    "PropertyValueAliases.txt",
    "Scripts.txt",
    "ScriptExtensions.txt",
    "confusables.txt",
)
# By script: the writing systems that contain the script (UTS 39, table 1a).
AUGMENTED = {
    "Hani": {"Hanb", "Jpan", "Kore"},
    "Hira": {"Jpan"},
    "Kana": {"Jpan"},
    "Hang": {"Kore"},
    "Bopo": {"Hanb"},
}


def tables(texts: dict[str, str]) -> dict[str, Any]:
    """Return the tables for ``users.usernames``, given the text of each file in ``FILES``."""
    status, properties, aliases, scripts, extensions, confusables = map(texts.get, FILES, [""] * 6)
    allowed = {code for code, (value,) in _of_each(status) if value == "Allowed"}
    ignorable = (
        c for c, (name, *_) in _of_each(properties) if name == "Default_Ignorable_Code_Point"
    )
    short = {long: short for kind, short, long, *_ in _rows(aliases) if kind == "sc"}
    script_of = {code: {short[value]} for code, (value,) in _of_each(scripts)}
    script_of |= {code: set(value.split()) for code, (value,) in _of_each(extensions)}
    written = {code: _augmented(script_of[code]) for code in allowed}
    return {
        "unicode": re.findall(r"^# Version: (\S+)", confusables, re.MULTILINE)[0],
        "sha256": {name: hashlib.sha256(texts[name].encode()).hexdigest() for name in FILES},
        "allowed": _ranges(written),
        "ignorable": _ranges(dict.fromkeys(ignorable, "")),
        "confusables": {_text(source): _text(target) for source, target, *_ in _rows(confusables)},
    }


def _rows(text: str) -> Iterator[list[str]]:
    """Yield the fields of each line that is not empty or a comment (UAX 44 section 4.2)."""
    for line in text.splitlines():
        fields = [field.strip() for field in line.partition("#")[0].split(";")]
        if any(fields):
            yield fields


def _of_each(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each code point that ``text`` lists, with the other fields of its line."""
    for codes, *fields in _rows(text):
        first, _dots, last = codes.partition("..")
        for code in range(int(first, 16), int(last or first, 16) + 1):
            yield code, fields


def _augmented(scripts: set[str]) -> str:
    """Return the augmented script set of a character (UTS 39 section 5.1).

    The result is "" for a character that all scripts use, such as a digit.
    """
    if scripts & {"Zyyy", "Zinh"}:
        return ""
    return " ".join(sorted(scripts.union(*(AUGMENTED.get(script, ()) for script in scripts))))


def _ranges(values: dict[int, str]) -> list[str]:
    """Return ``first last value`` for each run of consecutive code points with the same value."""
    ordered = enumerate(sorted(values.items()))
    runs = groupby(ordered, lambda row: (row[1][0] - row[0], row[1][1]))
    return [
        f"{codes[0]:04X} {codes[-1]:04X} {value}".strip()
        for (_distance, value), run in runs
        for codes in [[code for _index, (code, _value) in run]]
    ]


def _text(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split())


def main(folder: Path) -> None:
    """Read Unicode's files in ``folder``, and write the tables.

    Byte order marks and line endings are ignored, because mirrors of the files change them.
    """
    texts = {name: (folder / name).read_text("utf-8-sig") for name in FILES}
    TABLES.write_text(json.dumps(tables(texts), indent=0) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
