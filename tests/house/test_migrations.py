"""A node of the version before works while the database is migrated, and afterwards.

A migration with an operation that such a node may not survive says why it does: ``old_nodes``.
"""

from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration, RunPython
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader

OURS = {app.label for app in apps.get_app_configs() if app.name.startswith("accounts")}
HARMLESS = (
    *(ops.CreateModel, ops.AlterModelOptions, ops.AlterModelManagers),
    *(ops.RemoveIndex, ops.RenameIndex, AddIndexConcurrently),
)
# The types of columns of which each column also holds the values.
NARROWER = {
    "BigIntegerField": {"IntegerField", "SmallIntegerField", "PositiveSmallIntegerField"},
    "IntegerField": {"SmallIntegerField", "PositiveSmallIntegerField"},
    "PositiveBigIntegerField": {"PositiveIntegerField", "PositiveSmallIntegerField"},
    "PositiveIntegerField": {"PositiveSmallIntegerField"},
    "TextField": {"CharField", "EmailField", "URLField"},
}


def faults(migration, state):
    """Return the operations that a node of the version before may not survive.

    ``state``: the models before the migration; it is changed.
    """
    found, app, old = [], migration.app_label, set(state.models)
    for operation in migration.operations:
        key = (app, getattr(operation, "model_name_lower", ""))
        fields = dict(state.models[key].fields) if key in state.models else {}
        is_in_portions = isinstance(operation, RunPython) and not migration.atomic
        is_of_new_table = key[1] and key not in old
        if not (is_in_portions or is_of_new_table or _is_harmless(operation, fields)):
            found.append(operation.describe())
        operation.state_forwards(app, state)
    return found


def _is_harmless(operation, fields):
    match operation:
        case ops.AlterField():
            return _holds_the_same(fields[operation.name], operation.field)
        case ops.AddField(field=field):
            # An old node writes no value: NULL or the default of the database must be allowed.
            is_allowed = field.null or (field.has_db_default() and not field.unique)
            return field.many_to_many or (is_allowed and not field.db_index)
    return isinstance(operation, HARMLESS)


def _holds_the_same(old, new):
    """Return whether old nodes can still write what they wrote, and read what others write."""
    kind = new.get_internal_type()
    return (
        old.get_internal_type() in {kind, *NARROWER.get(kind, ())}
        and (old.max_length or 0) <= (new.max_length or 1 << 30)
        and (old.null, old.db_column) == (new.null, new.db_column)
        and (old.unique or not new.unique)
        and (new.null or new.has_db_default() or not old.has_db_default())
    )


def added(loader):
    """Return the migrations after the initial ones, by app and name."""
    return {k: m for k, m in loader.disk_migrations.items() if k[0] in OURS and not m.initial}


def test_an_old_node_survives_each_migration_or_the_migration_says_why():
    loader = MigrationLoader(None)

    for key, migration in added(loader).items():
        before = loader.project_state(key, at_end=False)
        found = faults(migration, before)
        assert bool(found) == bool(getattr(migration, "old_nodes", "")), (key, found)


TEXT = models.CharField(max_length=40)
INDEX = models.Index(fields=["name"], name="by_name")
UNIQUE = models.UniqueConstraint(fields=["name"], name="once")
BAD = [
    ops.AddField("thing", "new", models.CharField(max_length=9, default="")),
    ops.AddField("thing", "new", models.CharField(max_length=9, db_default="", unique=True)),
    ops.AddField("thing", "new", models.IntegerField(null=True, db_index=True)),
    ops.RemoveField("thing", "name"),
    ops.RenameField("thing", "name", "title"),
    ops.DeleteModel("Thing"),
    ops.RenameModel("Thing", "Item"),
    ops.AlterModelTable("thing", "item"),
    ops.AlterField("thing", "name", models.CharField(max_length=39)),
    ops.AlterField("thing", "name", models.CharField(max_length=40, null=True)),
    ops.AlterField("thing", "name", models.CharField(max_length=40, unique=True)),
    ops.AlterField("thing", "name", models.CharField(max_length=40, db_column="title")),
    ops.AlterField("thing", "name", models.DateTimeField()),
    ops.AlterField("thing", "count", models.SmallIntegerField(db_default=0)),
    ops.AlterField("thing", "count", models.IntegerField()),
    ops.AddConstraint("thing", UNIQUE),
    ops.AlterUniqueTogether("thing", {("name", "count")}),
    ops.AddIndex("thing", INDEX),
    ops.RunPython(ops.RunPython.noop),
    ops.RunSQL("UPDATE thing SET name = ''"),
]
GOOD = [
    [ops.AddField("thing", "new", models.CharField(max_length=9, db_default=""))],
    [ops.AddField("thing", "new", models.IntegerField(null=True, unique=True))],
    [ops.AlterField("thing", "name", models.TextField())],
    [ops.AlterField("thing", "name", models.CharField(max_length=41))],
    [ops.AlterField("thing", "count", models.BigIntegerField(db_default=1))],
    [ops.CreateModel("Item", [("name", TEXT)]), ops.AddIndex("item", INDEX)],
    [AddIndexConcurrently("thing", INDEX)],
]


def test_an_operation_that_an_old_node_may_not_survive_is_found():
    assert [operation for operation in BAD if not faults_of(operation)] == []


def test_an_operation_that_an_old_node_does_not_notice_passes():
    assert [operations for operations in GOOD if faults_of(*operations)] == []


def test_a_change_of_rows_passes_if_it_can_commit_in_portions():
    assert faults_of(ops.RunPython(ops.RunPython.noop), atomic=False) == []


def faults_of(*operations, atomic=True):
    state = MigrationLoader(None, ignore_no_migrations=True).project_state([])
    fields = [("name", TEXT), ("count", models.IntegerField(db_default=0))]
    ops.CreateModel("Thing", [("id", models.AutoField(primary_key=True)), *fields]).state_forwards(
        "planted", state
    )
    migration = Migration("0002", "planted")
    migration.operations, migration.atomic = list(operations), atomic
    return faults(migration, state)
