"""Queries for users, and for a row together with its user and their groups."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

from django.db import connection, models
from django.db.models import QuerySet

from accounts.common.prepared import P, PreparedQueries, PreparedQuery, Row
from accounts.users.models import EmailAddress, PendingSignup, User

BY_EMAIL = PreparedQuery(lambda: User.objects.filter(emails__key=P("key")))
# A user and a pending sign-up: the same statement, whichever of them exists.
BY_USERNAME = PreparedQueries(
    PreparedQuery(lambda: User.objects.filter(username_key=P("key"))),
    PreparedQuery(
        lambda: PendingSignup.objects.filter(username_key=P("key"), expires_at__gt=P("now"))
    ),
)


def emails_of(user: User) -> QuerySet[EmailAddress]:
    """Return the confirmed email addresses of ``user``, oldest first."""
    return user.emails.order_by("confirmed_at", "pk")


class OwnedQuery[M: models.Model]:
    """A prepared SELECT of rows with a foreign key ``user``, each with the user and their groups.

    It is one statement: a call by a program needs no other one. Rows of deactivated users are never
    found.

    ``build``: returns the query set.
    ``only`` and ``only_of_user``: the fields to select of each model, by default all. An instance
        reads other fields from the database when they are used, as after ``QuerySet.only()``.
    ``related``: the name of a one-to-one relation to a row that is loaded, too.
    """

    def __init__(
        self,
        build: Callable[[], QuerySet[M]],
        *,
        only: Collection[str] = (),
        only_of_user: Collection[str] = (),
        related: str = "",
    ) -> None:
        self._build, self._only, self._only_of_user = build, only, only_of_user
        self._related = related
        self._query: PreparedQuery[M] = PreparedQuery(self._rows)

    def first(self, **values: Any) -> M | None:
        """Return the first row as a model instance, or None if there is none."""
        rows = self.rows(**values)
        return self.instance(rows) if rows else None

    def rows(self, **values: Any) -> tuple[Row, ...]:
        """Return the rows of the database, one for each group of the user, for :meth:`instance`."""
        return self._query.rows(**values)

    def instance(self, rows: tuple[Row, ...]) -> M:
        """Return the model instance that ``rows`` describe."""
        (row,) = self._query.converted(rows[:1])
        related_at, group_at = len(self._names), -1
        user_at = related_at + len(self._names_of_related)
        instance = self._model.from_db(connection.alias, self._names, row[:related_at])
        if self._related:
            values = row[related_at:user_at]
            other = self._model_of_related.from_db(connection.alias, self._names_of_related, values)
            setattr(instance, self._related, other)
        user = User.from_db(connection.alias, self._names_of_user, row[user_at:group_at])
        user.group_names = sorted(row[group_at] for row in rows if row[group_at] is not None)
        setattr(instance, "user", user)  # noqa: B010 the type checker does not know the field
        return instance

    @cached_property
    def _model(self) -> type[M]:
        return self._build().model

    @cached_property
    def _names(self) -> list[str]:
        return _names(self._model, self._only)

    @cached_property
    def _model_of_related(self) -> Any:
        return self._model._meta.get_field(self._related).related_model

    @cached_property
    def _names_of_related(self) -> list[str]:
        return _names(self._model_of_related, ()) if self._related else []

    @cached_property
    def _names_of_user(self) -> list[str]:
        return _names(User, self._only_of_user)

    def _rows(self) -> QuerySet[M, Any]:
        of_related = (f"{self._related}__{name}" for name in self._names_of_related)
        of_user = (f"user__{name}" for name in self._names_of_user)
        found = self._build().filter(user__is_active=True)
        return found.values_list(*self._names, *of_related, *of_user, "user__groups__name")


def _names(model: type[models.Model], only: Collection[str]) -> list[str]:
    names = [field.attname for field in model._meta.concrete_fields]
    return [name for name in names if not only or name in only]
