"""Add the public keys with which apps authenticate."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0050_backchannel_logout")]

    operations = [
        migrations.AddField(
            "client",
            "jwks",
            models.JSONField(blank=True, null=True, verbose_name="public keys"),
        ),
    ]
