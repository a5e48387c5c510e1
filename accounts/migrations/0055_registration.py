"""Add tokens for registration (RFC 7591), and what is stored of it with an app."""

from django.db import migrations, models

import accounts.common.clock


class Migration(migrations.Migration):
    dependencies = [("accounts", "0054_pairwise_subjects")]

    operations = [
        migrations.CreateModel(
            "RegistrationToken",
            fields=[
                ("id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("clients_left", models.PositiveSmallIntegerField(verbose_name="apps left")),
                ("scope", models.CharField(max_length=255, verbose_name="scopes")),
                ("audiences", models.JSONField(default=list, verbose_name="audiences")),
                (
                    "created_at",
                    models.DateTimeField(default=accounts.common.clock.now, verbose_name="created"),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
            ],
            options={
                "verbose_name": "registration token",
                "verbose_name_plural": "registration tokens",
                "default_permissions": ("view", "delete"),
            },
        ),
        migrations.AddField(
            "client",
            "registered_with",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=32,
                verbose_name="registered with",
            ),
        ),
        migrations.AddField(
            "client",
            "expires_at",
            models.DateTimeField(editable=False, null=True, verbose_name="expires"),
        ),
    ]
