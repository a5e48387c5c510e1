"""Stores why an invitation gives rights."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0026_index_of_changes")]

    operations = [
        migrations.AddField(
            model_name="invitation",
            name="reason",
            field=models.CharField(blank=True, db_default="", default="", max_length=500),
        ),
    ]
