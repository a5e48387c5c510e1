"""Text that people type: one canonical form, decided once, before it is compared or stored."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# What makes a formula of a cell, full-width twins included (OWASP, CSV Injection).
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def fold(value: str) -> str:
    """The form in which names and addresses are compared: NFKC, casefolded, NFKC again.

    Twins such as full-width or Kelvin-sign letters fold onto the plain ones (CVE-2019-19844).
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def refuse_invisible(value: str) -> None:
    """``ValidationError`` for control, format, surrogate, private and unassigned characters.

    NUL breaks PostgreSQL, CR/LF forge headers and log lines, lone surrogates can't be encoded,
    format characters (bidi, zero width) make two texts that look the same.
    """
    if any(unicodedata.category(character).startswith("C") for character in value):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")


def refuse_surrogates(value: str) -> None:
    """``ValidationError`` for half a surrogate pair, which JSON can carry and UTF-8 can't."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")


def canonical_code(typed: str) -> str:
    """A mailed code as it was made: people type it in any case, with spaces or hyphens."""
    return "".join(typed.split()).replace("-", "").upper()


def ascii_digits(typed: str) -> str:
    """The same with the digits of any script as 0 to 9: keyboards give their own."""
    return "".join(str(unicodedata.decimal(character, character)) for character in typed)


def defuse_formula(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula (CWE-1236)."""
    return f"'{cell}" if cell.startswith(FORMULA_MARKS) else cell
