"""Add the logos of apps."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0052_source_of_apps")]

    operations = [
        migrations.CreateModel(
            "ClientLogo",
            fields=[
                (
                    "client",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.client",
                    ),
                ),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            "client",
            "logo",
            models.CharField(
                blank=True, db_default="", default="", max_length=16, verbose_name="logo"
            ),
        ),
    ]
