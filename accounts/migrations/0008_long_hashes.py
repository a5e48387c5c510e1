from django.db import migrations, models


class Widen(migrations.AlterField):
    """SQLite stores longer texts anyway. Django would copy the whole table."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_places"),
    ]

    operations = [
        Widen(
            model_name="user",
            name="password",
            field=models.CharField(max_length=512, verbose_name="password"),
        ),
    ]
