"""System checks of the password lists, run by ``manage.py check`` and ``migrate``."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from accounts.passwords import lists


def pwned_passwords_file(**options: Any) -> list[CheckMessage]:
    """Check that ``PWNED_PASSWORDS_FILE`` is a readable copy of Have I Been Pwned.

    Returns an error if the file is missing, unreadable or in another format.
    """
    path = settings.AUTHSITE.pwned_passwords_file
    if not path:
        return []
    try:
        first = lists.first_hash(path)
    except OSError as error:
        return [Error(f"PWNED_PASSWORDS_FILE can't be read: {error}", id="accounts.E001")]
    if re.fullmatch(rb"[0-9A-F]{40}", first):
        return []
    hint = "The list of SHA-1 hashes, sorted by hash; not the one of NTLM, nor a compressed one."
    return [Error(f"PWNED_PASSWORDS_FILE {path} has no lines HASH:COUNT", hint, id="accounts.E002")]
