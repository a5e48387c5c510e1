"""Drop the indexes of two foreign keys, because other indexes begin with the same column."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def drop_indexes(apps: Any, editor: Any) -> None:
    """Drop every index on ``user_id`` alone; repeated after an interruption, drop what is left."""
    connection = editor.connection
    # Without CONCURRENTLY, requests would wait while PostgreSQL waits for running transactions.
    # SQLite only frees the pages of the index, but would copy the table to alter the field.
    drop = "DROP INDEX CONCURRENTLY" if connection.vendor == "postgresql" else "DROP INDEX"
    for model in ("Activity", "LoginSession"):
        table = apps.get_model("accounts", model)._meta.db_table
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, table)
        for name, about in found.items():
            if about["index"] and about["columns"] == ["user_id"]:
                editor.execute(f"{drop} {editor.quote_name(name)}")


def owner(related_name: str, *, null: bool = False) -> Any:
    """Return a foreign key to the owner of a row, without an index of its own."""
    return models.ForeignKey(
        db_index=False,
        null=null,
        on_delete=django.db.models.deletion.CASCADE,
        related_name=related_name,
        to=settings.AUTH_USER_MODEL,
    )


class Migration(migrations.Migration):
    # PostgreSQL drops no index concurrently inside a transaction.
    atomic = False

    dependencies = [("accounts", "0040_apps")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField("activity", "user", owner("activity", null=True)),
                migrations.AlterField("loginsession", "user", owner("login_sessions")),
            ],
        ),
    ]
