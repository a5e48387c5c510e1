"""Validates email addresses, and computes their canonical forms."""

import re
from functools import lru_cache

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from accounts.common.text import fold, refuse_invisible

# RFC 5321 section 4.5.3.1.3 limits a path to 256 octets, two of which are brackets.
MAX_LENGTH = 254
# A name in parentheses may be an address.
LOCAL_PART = re.compile(r"([^\s@(])[^\s@]*@")
INVALID = ValidationError(_("Enter a valid email address."), code="invalid")


def clean(value: str) -> str:
    """Return an email address in the form in which it is stored and used to send email.

    The domain becomes lowercase ASCII (RFC 5891). An address that is too long is refused, because a
    shortened address may be another person's.

    Raises:
        ValidationError: ``value`` is not an email address that the site accepts.
    """
    if len(value) > MAX_LENGTH:
        raise INVALID
    refuse_invisible(value)
    local, _at, domain = value.rpartition("@")
    try:
        email = f"{local}@{_ascii(domain)}"
    except idna.IDNAError:
        raise INVALID from None
    # Django's pattern ignores case, so it accepts a dotless i as an ASCII letter. A quoted local
    # part would allow many spellings of one mailbox.
    if not local.isascii() or '"' in local or len(email) > MAX_LENGTH:
        raise INVALID
    validate_email(email)
    return email


@lru_cache(maxsize=1000)
def _ascii(domain: str) -> str:
    """Return ``domain`` in lowercase ASCII. The result is cached: most people use few domains."""
    return idna.encode(domain, uts46=True).decode()


def masked(text: str) -> str:
    """Return ``text`` with each email address shortened to its first letter and its domain."""
    return LOCAL_PART.sub(r"\1…@", text)


def mailbox(key: str) -> str:
    """Return a common key for all email addresses that probably reach the same mailbox.

    Tags (``name+tag@``) and the dots of Gmail addresses are removed. Use the key for rate limits
    only, because some email providers may give such addresses to different people. A username is
    returned unchanged.
    """
    local, at, domain = key.rpartition("@")
    if not at:
        return key
    domain = "gmail.com" if domain == "googlemail.com" else domain
    untagged = local.partition("+")[0] or local
    return f"{untagged.replace('.', '') if domain == 'gmail.com' else untagged}@{domain}"


def key(email: str) -> str:
    """Return the canonical form of an email address, which is unique in the database.

    Case is ignored in the local part, too, because no provider gives two people mailboxes that
    differ only in case.
    """
    return fold(email)
