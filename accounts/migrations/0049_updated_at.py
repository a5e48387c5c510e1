"""Add when something last changed of what connected apps are told about a user."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0048_devices")]

    operations = [
        migrations.AddField("user", "updated_at", models.DateTimeField(editable=False, null=True)),
    ]
