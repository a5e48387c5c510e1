"""The codes that people type at a second step: their shapes and their one canonical form."""

import re

from accounts.common import secrets
from accounts.common.text import ascii_digits, canonical_code

COUNT = 10
TOTP_CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODE = re.compile(rf"[{secrets.READABLE_ALPHABET}]{{10}}")
MAILED_CODE = re.compile(r"[A-Z2-9]{8}")


def canonical(typed: str) -> str:
    """What was typed as it was made: any spacing, case and script of digits."""
    code = canonical_code(ascii_digits(typed))
    lower = code.lower()
    return lower if RECOVERY_CODE.fullmatch(lower) else code


def new_recovery_codes() -> list[str]:
    """Ten codes of 50 random bits, without hyphens."""
    return [secrets.recovery_code() for _ in range(COUNT)]


def written(code: str) -> str:
    """A recovery code in two groups, as people read it."""
    return f"{code[:5]}-{code[5:]}"
