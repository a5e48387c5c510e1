"""Add the time at which a claim that connected apps get about a user last changed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0048_devices")]

    operations = [
        migrations.AddField("user", "updated_at", models.DateTimeField(editable=False, null=True)),
    ]
