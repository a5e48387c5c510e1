"""During an upgrade two versions run at once, on what the newer one has migrated."""

from importlib import import_module
from pathlib import Path

import pytest
from django.db import migrations

from tests.support.site import ROOT

# Those before were never released apart.
FIRST = "0005"
FOLDER = ROOT / "accounts" / "migrations"
FILES = [path for path in sorted(FOLDER.glob("0*.py")) if path.name >= FIRST]
TAKES_AWAY = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_migration_leaves_the_version_before_what_it_uses(path: Path) -> None:
    migration = import_module(f"accounts.migrations.{path.stem}").Migration

    for operation in migration.operations:
        assert not isinstance(operation, TAKES_AWAY), operation.describe()
        if isinstance(operation, migrations.AddField):
            field = operation.field
            # It inserts rows without a word on the new column.
            assert field.null or field.has_db_default() or field.many_to_many, operation.describe()
