"""What a file of another system says about a person, in the words of this site."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID


class FoundEmail(NamedTuple):
    """An email address; ``is_verified`` says whether the other system had verified it.

    ``vouched_at``: when only Support has confirmed it there (``EmailAddress``).
    """

    email: str
    is_verified: bool
    verified_at: datetime | None = None
    vouched_at: datetime | None = None


class FoundRow(NamedTuple):
    """A row that belongs to the person: the label of its model, and its columns."""

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
    ``rows``: passkeys, accounts at identity providers and others.
    ``id``, ``columns``: the id and other columns of the account, if this site's program wrote them.
    ``notes``: what the reader has left out, in words for the operator.
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


# The rows of a file, in order. A row that cannot be read is an exception in place of a person.
type Rows = Iterator[FoundPerson | BadRow]
