"""During an upgrade two versions run at once on the schema that the newer one has migrated."""

from importlib import import_module

from django.db import migrations

from tests.support.site import ROOT

# Earlier migrations were never released apart.
FIRST = "0005"
TAKES_AWAY = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel)


def breaks_the_version_before(operation: object) -> bool:
    """Say whether the former version, which does not know a new column, fails after this."""
    if not isinstance(operation, migrations.AddField):
        return isinstance(operation, TAKES_AWAY)
    field = operation.field
    return not (field.null or field.has_db_default() or field.many_to_many)


def test_a_migration_keeps_what_the_previous_version_uses() -> None:
    files = sorted((ROOT / "accounts" / "migrations").glob("0*.py"))
    for path in (path for path in files if path.name >= FIRST):
        migration = import_module(f"accounts.migrations.{path.stem}").Migration
        broken = [o.describe() for o in migration.operations if breaks_the_version_before(o)]
        assert broken == [], path.stem
