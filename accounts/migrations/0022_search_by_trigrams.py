"""Index the trigrams of names and email addresses, by which staff find people, on PostgreSQL.

The extension pg_trgm is not necessary, because some services do not let a site create it.
"""

from typing import Any

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION accounts_trigrams(searched text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT COALESCE(array_agg(DISTINCT substr(searched, n, 3)), '{}')
    FROM generate_series(1, length(searched) - 2) AS n
$$
"""
NAMES = "username_key || ' ' || display_name || ' ' || given_name || ' ' || family_name"
INDEXES = {
    "users_by_trigram": f"accounts_user USING gin (accounts_trigrams(LOWER({NAMES})))",
    "emails_by_trigram": "accounts_emailaddress USING gin (accounts_trigrams(key))",
}


def make_indexes(_apps: Any, schema_editor: Any) -> None:
    """Make the indexes without stopping sign-ins. An interrupted one is made again."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION)
    for name, definition in INDEXES.items():
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")


def drop_indexes(_apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION accounts_trigrams CASCADE")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0021_receipts_of_mass_mail"),
    ]

    operations = [
        migrations.RunPython(make_indexes, drop_indexes),
    ]
