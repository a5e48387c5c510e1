"""E-mail addresses: which are allowed, how they are stored, and which are the same mailbox."""

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from accounts.common.text import fold, refuse_invisible

# RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of them brackets.
MAX_LENGTH = 254
INVALID = ValidationError(_("Enter a valid email address."), code="invalid")


def clean(value: str) -> str:
    """The address as it is stored and written to: the domain in lower-case ASCII (RFC 5891).

    ``ValidationError`` if it isn't one. Never cut: a cut address is somebody else's.
    """
    if len(value) > MAX_LENGTH:
        raise INVALID
    refuse_invisible(value)
    local, _at, domain = value.rpartition("@")
    try:
        address = f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise INVALID from None
    # Django ignores case when it looks for ASCII letters, and so takes a dotless i for one.
    # A quoted local part is one mailbox written in many ways.
    if not local.isascii() or '"' in local or len(address) > MAX_LENGTH:
        raise INVALID
    validate_email(address)
    return address


def mailbox(key: str) -> str:
    """Return one name for the many addresses of a mailbox, or ``key`` itself if it is no address.

    For limits only: providers may give two people what looks like one mailbox here.
    """
    local, at, domain = key.rpartition("@")
    if not at:
        return key
    domain = "gmail.com" if domain == "googlemail.com" else domain
    untagged = local.partition("+")[0] or local
    return f"{untagged.replace('.', '') if domain == 'gmail.com' else untagged}@{domain}"


def key(address: str) -> str:
    """The canonical form that is unique in the database.

    Letter case is folded in the local part too: no provider gives two mailboxes that differ in it.
    """
    return fold(address)
