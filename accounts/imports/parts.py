"""The data of a person in a file of another system, in a form that is the same for all formats.

A credential that cannot work on this site becomes a note.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from accounts.common.issuers import ISSUERS
from accounts.passwords import foreign
from accounts.passwords.schemes import ForeignHash


class FoundEmail(NamedTuple):
    """An email address; ``is_verified`` says whether the other system had verified it.

    ``vouched_at``: when Support confirmed it there, if nobody else did (see ``EmailAddress``).
    """

    email: str
    is_verified: bool
    verified_at: datetime | None = None
    vouched_at: datetime | None = None


class FoundRow(NamedTuple):
    """A row of the person: the label of its model, and its columns."""

    label: str
    columns: dict[str, Any]


@dataclass
class FoundPerson:
    """A person in a file.

    ``username``: the username, which may be empty or break the rules of this site.
    ``password``: the hash in its stored form (``accounts.passwords.foreign``), or empty.
    ``joined``: when the account was created, or None if unknown.
    ``seeds``: the seeds of authenticator apps in hexadecimal, and other columns of their rows.
    ``recovery_codes``: unused recovery codes in clear text.
    ``rows``: passkeys, accounts at identity providers and other rows.
    ``id``, ``columns``: the id and other columns of the account, if the file is from this site's
        program.
    ``notes``: what was left out, in sentences for the operator.
    """

    username: str = ""
    emails: list[FoundEmail] = field(default_factory=list)
    password: str = ""
    display_name: str = ""
    language: str = ""
    joined: datetime | None = None
    is_active: bool = True
    seeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    recovery_codes: list[str] = field(default_factory=list)
    rows: list[FoundRow] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    id: UUID | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class BadRow(Exception):
    """A row cannot be imported. The message says why, and contains no secret."""


# The rows of a file, in order. For a row that cannot be read, an exception replaces the person.
type Rows = Iterator[FoundPerson | BadRow]


# The names that other systems use for providers that this site knows.
PROVIDERS = {
    "google": "google",
    "google-oauth2": "google",
    "google.com": "google",
    "apple": "apple",
    "apple.com": "apple",
    "github": "github",
    "github.com": "github",
    "facebook": "facebook",
    "facebook.com": "facebook",
    "twitter": "twitter_oauth2",
    "twitter.com": "twitter_oauth2",
    "x": "twitter_oauth2",
    "twitter_oauth2": "twitter_oauth2",
}
CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")
NO_MODEL = str(UUID(int=0))


@dataclass(frozen=True)
class Options:
    """Options that are not in the file: Firebase's parameters, keys, Devise's pepper, columns.

    ``keeps_passkeys``: whether this site has the domain (RP ID) of the passkeys in the file.
    """

    signer_key: str = ""
    salt_separator: str = ""
    rounds: int = 0
    mem_cost: int = 0
    pepper: str = ""
    app_key: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    keeps_passkeys: bool = False


def emails(email: str, is_verified: bool) -> list[FoundEmail]:
    """Return a list with ``email``, or an empty list if ``email`` is empty."""
    return [FoundEmail(email, is_verified)] if email else []


def split(text: str, separator: str) -> list[str]:
    """Return the parts of ``text`` between separators, without empty ones."""
    return [part.strip() for part in text.split(separator) if part.strip()]


def set_password(person: FoundPerson, found: str | Callable[[], ForeignHash]) -> None:
    """Set the password hash; if it cannot be verified here, note why."""
    if not found:
        return
    try:
        person.password = foreign.accept(found if isinstance(found, str) else found())
    except (ValueError, TypeError) as error:
        person.notes.append(f"The password is left out: {error}.")


def add_app(person: FoundPerson, secret: str, name: str = "") -> None:
    """Add an authenticator app with the base32 text ``secret``, if there is one."""
    text = secret.replace(" ", "").rstrip("=").upper()
    if not text:
        return
    try:
        seed = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        person.notes.append("An authenticator app is left out: its secret is not base32.")
    else:
        person.seeds[seed.hex()] = {"name": name}


def add_identity(person: FoundPerson, provider: str, subject: str) -> None:
    """Add an account at an identity provider, if this site knows the provider."""
    known = PROVIDERS.get(provider)
    if known and subject:
        row = FoundRow("accounts.Identity", {"issuer": ISSUERS[known], "subject": subject})
        person.rows += [] if row in person.rows else [row]
    elif provider:
        person.notes.append(f"The identity provider {provider!r} is left out.")


def add_passkey(person: FoundPerson, columns: dict[str, Any], options: Options) -> None:
    """Add a passkey with these columns, if it can work here."""
    from accounts.twofactor import signatures  # noqa: PLC0415 its library takes 10 MB

    if not options.keeps_passkeys:
        person.notes.append("A passkey is left out: --passkeys says that its domain stays.")
        return
    columns["aaguid"] = columns["aaguid"] or NO_MODEL
    is_id = CREDENTIAL_ID.fullmatch(columns["credential_id"])
    if is_id and signatures.is_public_key(columns["public_key"]):
        person.rows.append(FoundRow("accounts.Passkey", columns))
    else:
        person.notes.append("A passkey is left out: its id or its public key cannot be read.")
