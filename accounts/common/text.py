"""Canonical forms of the text that people type, for comparing and storing it."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Spreadsheets take a cell that begins so for a formula, full-width forms included (OWASP, CSV
# Injection).
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def fold(value: str) -> str:
    """Return the form of a name or email address that comparisons use: NFKC and casefolded.

    Look-alike letters, such as full-width ones or the Kelvin sign, become the plain letters
    (CVE-2019-19844).
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def refuse_invisible(value: str) -> None:
    """Refuse text with control, format, surrogate, private-use or unassigned characters.

    NUL breaks PostgreSQL, CR and LF forge headers and log lines, lone surrogates cannot be encoded,
    and format characters (bidirectional, zero width) make two different texts look the same.

    Raises:
        ValidationError: ``value`` contains such a character.
    """
    if any(unicodedata.category(character).startswith("C") for character in value):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")


def refuse_surrogates(value: str) -> None:
    """Refuse text with a lone surrogate, which JSON can carry but UTF-8 cannot encode.

    Raises:
        ValidationError: ``value`` contains a surrogate.
    """
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")


def canonical_code(typed: str) -> str:
    """Return a typed code in the form in which it was issued: upper case, no spaces or hyphens."""
    return "".join(typed.split()).replace("-", "").upper()


def ascii_digits(typed: str) -> str:
    """Return ``typed`` with the digits of every script as 0 to 9, since keyboards differ."""
    return "".join(str(unicodedata.decimal(character, character)) for character in typed)


def defuse_formula(cell: str) -> str:
    """Return ``cell`` in a form that no spreadsheet takes for a formula (CWE-1236)."""
    return f"'{cell}" if cell.startswith(FORMULA_MARKS) else cell
