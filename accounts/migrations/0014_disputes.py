"""Columns and a table to settle disputes. The new dates are empty in existing rows."""

import django.core.serializers.json
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_known_browsers")]

    operations = [
        # Both versions use the table during a rolling upgrade, so it keeps its name.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("FactorRecovery", "Recovery"),
                migrations.AlterModelTable("Recovery", "accounts_factorrecovery"),
                migrations.AlterField(
                    model_name="recovery",
                    name="user",
                    field=models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="recovery",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ]
        ),
        migrations.AddField("recovery", "disputed_at", models.DateTimeField(null=True)),
        migrations.AddField("recovery", "evidence", models.JSONField(null=True)),
        migrations.AddField("identity", "suspended_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "loginsession",
            "factor_key",
            models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField("user", "disputed_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("user", "password_at", models.DateTimeField(editable=False, null=True)),
        migrations.CreateModel(
            name="FormerCredential",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("password", "Password"),
                            ("email", "Email"),
                            ("factor", "Factor"),
                            ("recovery_codes", "Recovery Codes"),
                        ],
                        max_length=16,
                    ),
                ),
                ("key", models.CharField(blank=True, db_index=True, max_length=762)),
                ("label", models.CharField(blank=True, max_length=254)),
                ("since", models.DateTimeField(null=True)),
                ("removed_at", models.DateTimeField(db_index=True)),
                ("is_suspended", models.BooleanField(default=False)),
                (
                    "data",
                    models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_credentials",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
