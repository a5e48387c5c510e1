"""Formats of the codes that users type at the second step."""

import re

from accounts.common import secrets
from accounts.common.text import canonical_code

COUNT = 10
TOTP_CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODE = re.compile(rf"[{secrets.READABLE_ALPHABET}]{{10}}")
MAILED_CODE = re.compile(r"[0-9]{8}")


def canonical(typed: str) -> str:
    """Return the canonical form of a code that a user typed.

    Spaces, case and the script of digits do not matter.
    """
    code = canonical_code(typed)
    lower = code.lower()
    return lower if RECOVERY_CODE.fullmatch(lower) else code


def new_recovery_codes() -> list[str]:
    """Return ten recovery codes of 50 random bits each, without hyphens."""
    return [secrets.recovery_code() for _ in range(COUNT)]


def written(code: str) -> str:
    """Return a recovery code as it is shown to users, with a hyphen in the middle."""
    return f"{code[:5]}-{code[5:]}"
