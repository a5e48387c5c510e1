"""Add the authorization requests of devices (RFC 8628)."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.common.clock


class Migration(migrations.Migration):
    dependencies = [("accounts", "0047_apps_for_devices")]

    operations = [
        migrations.CreateModel(
            "DeviceAuthorization",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("user_code", models.CharField(db_index=True, max_length=64)),
                ("scope", models.CharField(max_length=255)),
                ("audience", models.CharField(max_length=255)),
                ("agent", models.CharField(blank=True, max_length=255)),
                ("ip", models.CharField(blank=True, max_length=45)),
                ("interval", models.PositiveSmallIntegerField(default=5)),
                ("next_poll_at", models.DateTimeField(default=accounts.common.clock.now)),
                ("is_allowed", models.BooleanField(null=True)),
                ("made_at", models.DateTimeField(default=accounts.common.clock.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.client",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            "authorizationrequest",
            "device",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.deviceauthorization",
            ),
        ),
    ]
