"""Migrations keep the previous version working.

During an upgrade it runs beside the new version, on the schema of the new version.
"""

from importlib import import_module

from django.db import migrations

from tests.support.site import ROOT

# The initial migrations have no version before them.
FIRST = "0003"
TAKES_AWAY = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel)


def breaks_the_version_before(operation: object) -> bool:
    """Return whether the previous version fails after a migration's operation.

    It does not know new columns, so they need a null or a default in the database.
    """
    if not isinstance(operation, migrations.AddField):
        return isinstance(operation, TAKES_AWAY)
    field = operation.field
    return not (field.null or field.has_db_default() or field.many_to_many)


def test_a_migration_keeps_what_the_previous_version_uses() -> None:
    files = sorted((ROOT / "accounts").rglob("migrations/0*.py"))
    for path in (path for path in files if path.name >= FIRST):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        migration = import_module(name).Migration
        broken = [o.describe() for o in migration.operations if breaks_the_version_before(o)]
        assert broken == [], name
