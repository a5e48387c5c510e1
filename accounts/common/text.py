"""Checks text that people type, and converts it to canonical forms."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Spreadsheets treat a cell that begins with one of these characters as a formula (OWASP, CSV
# Injection). The last four are full-width forms.
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# A pattern of the id of an account.
ACCOUNT_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def fold(value: str) -> str:
    """Return a name or email address in the form for comparisons: NFKC and casefolded.

    Compatibility characters, such as full-width letters or the Kelvin sign, become plain letters
    (CVE-2019-19844).
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def row_id(typed: str) -> int:
    """Return ``typed`` as the id of a row; 0 if it is not a number or has 19 digits or more."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else 0


def refuse_invisible(value: str) -> None:
    """Refuse text with control, format, surrogate, private-use or unassigned characters.

    PostgreSQL cannot store NUL. CR and LF can forge headers and log lines, lone surrogates cannot
    be encoded, and bidirectional or zero-width characters can make different texts look alike.

    Raises:
        ValidationError: ``value`` contains such a character.
    """
    if any(unicodedata.category(character).startswith("C") for character in value):
        raise ValidationError(_("Remove any invisible or control characters."), code="invisible")


def refuse_surrogates(value: str) -> None:
    """Refuse text with a lone surrogate, which JSON can carry but UTF-8 cannot encode.

    Raises:
        ValidationError: ``value`` contains a surrogate.
    """
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError(_("Remove any invisible or control characters."), code="invisible")


def canonical_code(typed: str) -> str:
    """Return a typed code in the form of issued codes: ASCII, uppercase, no spaces or hyphens."""
    plain = "".join(typed.split()).replace("-", "").upper()
    # The digits of all scripts become 0 to 9.
    return "".join(str(unicodedata.decimal(character, character)) for character in plain)


def written_code(code: str) -> str:
    """Return an emailed code in the form that people read and type: two groups of four digits."""
    return f"{code[:4]} {code[4:]}"


def defuse_formula(cell: str) -> str:
    """Return the text of a table cell in a form that spreadsheets do not run (CWE-1236)."""
    return f"'{cell}" if cell.startswith(FORMULA_MARKS) else cell
