"""Shared parts of commands: finding the named user, and printing as text or JSON."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.common.errors import PublicError
from accounts.users import services as users
from accounts.users.models import User

COMMAND_LINE = Actor(name=OPERATOR)


class ResultCommand(BaseCommand, ABC):
    """A command with a result. Subclasses override :meth:`answer`, and :meth:`words` if needed.

    ``refusals``: the errors of :meth:`answer` whose messages the command prints.
    """

    refusals: ClassVar[tuple[type[Exception], ...]] = (PublicError, ValidationError, OverflowError)

    # The system checks import all pages, so only ``check`` and ``migrate`` run them.
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(*args, **kwargs)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        return parser

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            facts = self.answer(**options)
        except self.refusals as error:
            raise CommandError(" ".join(getattr(error, "messages", [str(error)]))) from None
        text = json.dumps(facts, default=str) if options["json"] else self.words(facts)
        self.stdout.write(text)

    @abstractmethod
    def answer(self, **options: Any) -> dict[str, Any]:
        """Run the command, and return the result.

        Raises:
            CommandError, or one of ``refusals``: the command cannot be done. The message says
                why.
        """

    def words(self, facts: dict[str, Any]) -> str:
        """Return the result as text: a line for each fact."""
        return "\n".join(line for name, value in facts.items() for line in _lines(name, value))


class UserCommand(ResultCommand):
    """A command about one user. Subclasses override :meth:`result_for`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username, email address or id")

    def answer(self, **options: Any) -> dict[str, Any]:
        name = options["user"]
        user = users.find_by_login(name) or users.find_by_id(name)
        if not isinstance(user, User):
            raise CommandError(f"There is no user {name!r}.")
        return self.result_for(user)

    @abstractmethod
    def result_for(self, user: User) -> dict[str, Any]:
        """Run the command for ``user``, and return the result."""


def _lines(name: str, value: Any) -> list[str]:
    """Return ``name: value``, or a line for each item of a list."""
    label = name.replace("_", " ")
    if isinstance(value, bool):
        return [f"{label}: {'yes' if value else 'no'}"]
    if not isinstance(value, list):
        return [f"{label}: {'none' if value in (None, '') else value}"]
    if not value:
        return [f"{label}: none"]
    return [f"{label}:", *(f"  {_shown(item)}" for item in value)]


def _shown(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return ", ".join(f"{name} {value}" for name, value in item.items() if value not in (None, ""))
