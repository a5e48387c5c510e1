"""Add the service that an app is, so that it may introspect the tokens for it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0044_id_token_hint")]

    operations = [
        migrations.AddField(
            "client",
            "resource",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=255,
                verbose_name="service that the app is",
            ),
        ),
    ]
