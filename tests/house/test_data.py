"""The inventory of personal data is complete, and deletion finds the rows of a person by it."""

from uuid import uuid4

from django.apps import apps
from django.db.models import CASCADE

from accounts.common.personal_data import NOT_PERSONAL, TABLES, Person
from accounts.exports.words import LABELS, TITLES
from accounts.ops.doctor.inside import undeclared
from accounts.users.models import User
from tests.support.standards import proves

ALICE = Person(uuid4(), frozenset({"alice"}), frozenset({"a@example.org"}), frozenset({uuid4()}))


@proves("V14.2.4", "63B-2.4.3")
def test_each_column_of_each_table_is_in_the_inventory_once():
    models = {m._meta.label: m for m in apps.get_models(include_auto_created=True)}
    assert undeclared() == []
    assert TABLES.keys() | NOT_PERSONAL.keys() == models.keys()
    assert TABLES.keys() & NOT_PERSONAL.keys() == set()
    for label, table in TABLES.items():
        fields = {field.name for field in models[label]._meta.concrete_fields}
        assert table.columns.keys() <= fields, label


@proves("V14.2.7", "63B-2.4.3")
def test_each_purpose_is_stated():
    for table in TABLES.values():
        assert all([table.purpose, table.kept, *(c.purpose for c in table.columns.values())])


def test_each_table_selects_rows_and_its_paths_to_the_account_cascade():
    for label, table in TABLES.items():
        model = apps.get_model(label)
        assert not model.objects.filter(table.of(ALICE)).exists(), label
        for name in str(table.rows).split("__") if table.is_cascading and model is not User else ():
            field = model._meta.get_field(name)
            assert field.remote_field.on_delete is CASCADE, label
            model = field.related_model
        assert not table.is_cascading or model is User, label


def test_each_table_and_column_of_an_export_has_words_for_people():
    own = {"accounts", "admin", "administration", "oauth", "scim"}
    exported = [t for t in TABLES.values() if t.exported and t.label.split(".")[0] in own]

    assert {table.label for table in exported} == TITLES.keys()
    assert {name for table in exported for name in table.exported} - LABELS.keys() == set()
