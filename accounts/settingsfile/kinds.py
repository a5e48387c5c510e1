"""The kinds of rows that a settings file describes, and how it refers to secrets.

``[apps.wiki]`` in the file describes the row ``wiki`` of the kind ``apps``.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db.models import Model

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.administration import changes, roles
from accounts.common.secrets import KeyText, NewKey, plain_digest
from accounts.settingsfile.models import MadeByFile

ACTOR = Actor(name=OPERATOR, reason="settings file")
_DIGEST = re.compile(r"sha256:([a-z2-7]{16}):([0-9a-f]{64})", re.ASCII)

type Values = dict[str, Any]


class Kind[T: Model](ABC):
    """A kind of rows that a settings file describes. An instance serves one run.

    ``name``: the name of the kind in the file.
    ``secret``: the key that refers to a secret, which is created once; empty if there is none.
    ``kept``: keys that keep their value in an existing row if the file does not contain them.
    ``withheld``: keys whose values are not printed when they differ.
    """

    name: str
    secret = ""
    kept: ClassVar[frozenset[str]] = frozenset()
    withheld: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def defaults(self) -> Values:
        """The keys of a row, with their default values.

        The type of a key is the type of its default.
        """

    @abstractmethod
    def rows(self) -> dict[str, T]:
        """Return the rows by their identities, in the order in which a dump lists them."""

    @abstractmethod
    def values(self, row: T) -> Values:
        """Return the values of ``row`` in the form that the file uses."""

    @abstractmethod
    def save(self, identity: str, row: T | None, values: Values, changed: set[str]) -> T:
        """Create the row, or change the keys ``changed`` of ``row``; return it.

        Raises:
            ValidationError, PublicError: a value is not allowed.
        """

    @abstractmethod
    def remove(self, row: T) -> bool:
        """Remove or disable ``row``; return False if this changes nothing."""

    def normal(self, _name: str, value: Any) -> Any:
        """Convert the ``value`` of a key in the file to the form of :meth:`values`.

        Raises:
            ValidationError, ValueError: the value is not allowed.
            OSError: a file to which the value refers cannot be read.
        """
        return value

    def identity(self, key: str, _given: Values) -> str:
        """Return the identity (see :meth:`rows`) of the row that the file describes as ``key``.

        Raises:
            ValidationError: the key that identifies the row is missing.
        """
        return key

    def differing(self, _row: T, current: Values, wanted: Values) -> set[str]:
        """Return the keys that must change to turn the values ``current`` into ``wanted``.

        A secret that a settings file has already created is not created again.

        Raises:
            ValidationError: one of them cannot change.
        """
        changed = {name for name, value in wanted.items() if current[name] != value}
        if self.secret in changed and self.mark_of(wanted[self.secret]) in self.former_secrets:
            changed.remove(self.secret)
        return changed

    def mark_of(self, secret: str) -> str:
        """Return a text that identifies only this ``secret`` of a settings file."""
        return new_key(secret).id

    def is_over(self, _identity: str, _values: Values) -> bool:
        """Return whether a row that does not exist must not be created again."""
        return False

    def mark(self, row: T) -> str:
        """Return a text that identifies ``row`` and is never used for another row of this kind."""
        return str(row.pk)

    @cached_property
    def made(self) -> set[str]:
        """The marks of the rows of this kind that a settings file has created."""
        return _marks(self.name)

    @cached_property
    def former_secrets(self) -> set[str]:
        """The marks of the secrets that a settings file has created. None is created again."""
        return _marks(SECRETS)


class Groups(Kind[Group]):
    """The groups, by name. A role is a group with certain permissions.

    ``rights``: permissions, such as ``accounts.view_user``.
    """

    name = "groups"

    @property
    def defaults(self) -> Values:
        return {"rights": []}

    @cached_property
    def rights(self) -> dict[str, Permission]:
        """The permissions that a superuser can give to a group in the admin, by name."""
        return {_name_of(right): right for right in roles.rights_to_give()}

    def rows(self) -> dict[str, Group]:
        rows = Group.objects.prefetch_related("permissions__content_type").order_by("name")
        return {group.name: group for group in rows}

    def values(self, row: Group) -> Values:
        held = {_name_of(right) for right in row.permissions.all()}
        return {"rights": [name for name in self.rights if name in held]}

    def normal(self, _name: str, value: list[str]) -> list[str]:
        return in_order(value, self.rights)

    def save(self, identity: str, row: Group | None, values: Values, _changed: set[str]) -> Group:
        if values["rights"] and row and hasattr(row, "managed"):
            # Otherwise, a directory could create a group in advance and decide who gets the rights.
            raise ValidationError({"rights": "A directory decides who is in this group."})
        group = row or Group(name=identity)
        group.full_clean()
        group.save()
        group.permissions.set(self.rights[name] for name in values["rights"])
        changes.tell_group(group, group.user_set.all(), None, ACTOR)
        return group

    def remove(self, row: Group) -> bool:
        return changes.delete_group(row, None, ACTOR)

    def mark(self, row: Group) -> str:
        """Return the id and the name, so that the file does not change a renamed group."""
        return f"{row.pk} {row.name}"


# The kind under which the secrets of settings files are recorded.
SECRETS = "secrets"


def remember(mark: str) -> None:
    """Record the secret with this mark, so that it is not created again."""
    MadeByFile.objects.get_or_create(kind=SECRETS, mark=mark)


def _marks(kind: str) -> set[str]:
    return set(MadeByFile.objects.filter(kind=kind).values_list("mark", flat=True))


def in_order(given: Iterable[str], offered: Iterable[str]) -> list[str]:
    """Return the texts ``given``, without duplicates, in the order of ``offered``.

    Raises:
        ValidationError: one of them is not in ``offered``.
    """
    known, wanted = list(offered), set(given)
    if unknown := wanted.difference(known):
        raise ValidationError(f"{min(unknown)!r} is not one of: {', '.join(known)}")
    return [name for name in known if name in wanted]


def read_secret(reference: str) -> str:
    """Return the text to which ``env:NAME`` or ``file:PATH`` refers, without surrounding spaces.

    Raises:
        ValidationError: ``reference`` has another form, or there is no such variable.
        OSError, ValueError: the file cannot be read.
    """
    form, _, name = reference.partition(":")
    if form == "file":
        return Path(name).read_text().strip()
    if form != "env":
        raise ValidationError("Refer to the secret by env:NAME or file:PATH.")
    if name not in os.environ:
        raise ValidationError(f"There is no environment variable {name!r}.")
    return os.environ[name].strip()


def written_digest(id: str, digest: str) -> str:
    """Return the reference to a secret in a settings file, with the secret's id and digest."""
    return f"sha256:{id}:{digest}"


def new_key(digest: str) -> NewKey:
    """Return the key for a result of :func:`written_digest`. Its text is unknown."""
    _form, id, value = digest.split(":")
    return NewKey("", id, value)


def referred(reference: str, form: KeyText, word: str) -> str:
    """Return :func:`written_digest` of the secret to which ``reference`` refers.

    Raises:
        ValidationError: the secret does not have the ``form`` of secrets of this site.
        OSError, ValueError: see :func:`read_secret`.
    """
    if _DIGEST.fullmatch(reference):
        return reference
    text = read_secret(reference)
    if not form.is_key(text):
        raise ValidationError(f"This secret is too weak. Make one by make_secret {word}.")
    return written_digest(form.id_of(text), plain_digest(text))


def _name_of(right: Permission) -> str:
    return f"{right.content_type.app_label}.{right.codename}"
