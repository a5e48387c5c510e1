"""Queries for users, and for a row together with its user and their groups."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, models
from django.db.models import QuerySet

from accounts.common.prepared import P, PreparedQueries, PreparedQuery
from accounts.common.reading import read_once
from accounts.common.rows import Columns, parameter
from accounts.users.models import EmailAddress, PendingSignup, User

BY_EMAIL = PreparedQuery(lambda: User.objects.filter(emails__key=P("key")))
# A user and a pending sign-up: the same statement, whichever of them exists.
BY_USERNAME = PreparedQueries(
    PreparedQuery(lambda: User.objects.filter(username_key=P("key"))),
    PreparedQuery(
        lambda: PendingSignup.objects.filter(username_key=P("key"), expires_at__gt=P("now"))
    ),
)

_MEMBERS = User.groups.through._meta.db_table


@read_once
def emails_of(user: User) -> QuerySet[EmailAddress]:
    """Return the confirmed email addresses of ``user``, oldest first."""
    return user.emails.order_by("confirmed_at", "pk")


type Rows = tuple[tuple[Any, ...], ...]


class Owned[M: models.Model]:
    """Finds a row of a model with a foreign key ``user``, together with the user and their groups.

    ``where`` is an SQL condition. In the condition, ``o`` is the table of the model and ``u`` is
    the table of users. Rows of deactivated users are never found.

    ``only`` and ``only_of_user``: the fields to select of each table; see :class:`Columns`.
    """

    def __init__(
        self,
        model: type[M],
        where: str,
        *,
        only: Collection[str] = (),
        only_of_user: Collection[str] = (),
    ) -> None:
        self._columns, self._user = Columns(model, "o", only), Columns(User, "u", only_of_user)
        self._sql = f"""
            SELECT {self._columns.sql}, {self._user.sql}, g.name
            FROM {model._meta.db_table} o
            JOIN {User._meta.db_table} u ON u.id = o.user_id
            LEFT JOIN {_MEMBERS} m ON m.user_id = u.id
            LEFT JOIN {Group._meta.db_table} g ON g.id = m.group_id
            WHERE u.is_active AND {where}
        """  # noqa: S608 nothing but names of tables and columns

    def find(self, values: dict[str, Any]) -> M | None:
        """Return the row that meets the condition with the parameters ``values``, or None."""
        rows = self.rows(values)
        return self.instance(rows) if rows else None

    def rows(self, values: dict[str, Any]) -> Rows:
        """Return the rows of the database, one for each group of the user, for :meth:`instance`."""
        cursor = connection.cursor()
        cursor.execute(self._sql, {name: parameter(value) for name, value in values.items()})
        return tuple(cursor.fetchall())

    def instance(self, rows: Rows) -> M:
        """Return the model instance that ``rows`` describe."""
        end = len(self._columns)
        instance = self._columns.instance(rows[0][:end])
        user = self._user.instance(rows[0][end:-1])
        user.group_names = sorted(row[-1] for row in rows if row[-1] is not None)
        setattr(instance, "user", user)  # noqa: B010 the type checker does not know the field
        return instance
