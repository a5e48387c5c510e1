"""Add which apps may sign people in on devices; these need no redirect URI."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0046_dpop")]

    operations = [
        migrations.AddField(
            "client",
            "is_device",
            models.BooleanField(db_default=False, default=False, verbose_name="device"),
        ),
        migrations.AlterField(
            "client",
            "redirect_uris",
            models.JSONField(blank=True, default=list, verbose_name="redirect URIs"),
        ),
    ]
