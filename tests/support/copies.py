"""Fill PostgreSQL with rows, for programs that run in the shell of a site."""

from django.db import connection, models


def copy(like: models.Model, first: int, last: int, **changes: str) -> None:
    """Insert copies of a stored row; `changes` are SQL for columns that depend on a number `n`."""
    names = [str(field.column) for field in like._meta.concrete_fields]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changes.get(name, f'"{name}"') for name in names)
    table = like._meta.db_table
    source = f"{table}, generate_series(%s::bigint, %s::bigint) AS n WHERE id = %s"
    with connection.cursor() as cursor:
        # Skip the foreign keys, which hold by construction: their check takes most of the time.
        cursor.execute("SET session_replication_role = replica")
        insert = f"INSERT INTO {table} ({columns}) SELECT {values} FROM {source}"
        cursor.execute(insert, [first, last, like.pk])
        cursor.execute("RESET session_replication_role")
        cursor.execute(f"VACUUM ANALYZE {table}")
