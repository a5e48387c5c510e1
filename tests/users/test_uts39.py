"""The tables that usernames are checked with are built from Unicode's files."""

import json

from accounts.users.usernames import TABLES
from authsite.uts39_tables import FILES, tables

TEXTS = {
    "IdentifierStatus.txt": "0061..0063 ; Allowed # [3]\n\n4E00 ; Allowed\n00B7;Allowed",
    "DerivedCoreProperties.txt": "00AD ; Default_Ignorable_Code_Point # SHY\n0061 ; Alphabetic\n"
    "0915 ; InCB; Consonant",
    "PropertyValueAliases.txt": "sc ; Latn ; Latin\nsc ; Hani ; Han\nsc ; Zyyy ; Common\ngc;L;L",
    "Scripts.txt": "0061..0063 ; Latin # L& [3]\n4E00 ; Han\n00B7 ; Common\n",
    "ScriptExtensions.txt": "0063 ; Grek Latn # L&\n",
    "confusables.txt": "# Version: 16.0.0\n0061 ;\t0062 0063 ;\tMA\t# ( a ) # \n",
}


def test_the_tables_are_built_from_the_unicode_files() -> None:
    made = tables(TEXTS)

    assert made["unicode"] == "16.0.0"
    assert set(made["sha256"]) == set(FILES)
    assert made["allowed"] == [
        "0061 0062 Latn", "0063 0063 Grek Latn", "00B7 00B7", "4E00 4E00 Hanb Hani Jpan Kore",
    ]  # fmt: skip
    assert made["ignorable"] == ["00AD 00AD"]
    assert made["confusables"] == {"a": "bc"}


def test_the_stored_unicode_tables_are_complete() -> None:
    """The numbers are those at the ends of the files of Unicode 16."""
    held = json.loads(TABLES.read_text())

    def size(name: str) -> int:
        spans = [[int(code, 16) for code in line.split()[:2]] for line in held[name]]
        return sum(last - first + 1 for first, last in spans)

    assert (held["unicode"], len(held["confusables"])) == ("16.0.0", 6355)
    assert (size("allowed"), size("ignorable")) == (112778, 4174)
