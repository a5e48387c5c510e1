from django.db import migrations, models


class Migration(migrations.Migration):
    old_nodes = "Each value of the indexed column is NULL."

    dependencies = [
        ("accounts", "0006_known_browsers_by_name"),
    ]

    operations = [
        migrations.AddField(
            model_name="familiarplace",
            name="owner",
            field=models.UUIDField(db_index=True, null=True),
        ),
    ]
