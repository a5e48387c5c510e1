"""Add the back-channel logout URIs of apps, and the logout notices to send."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0049_updated_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="client",
            name="backchannel_logout_is_private",
            field=models.BooleanField(
                db_default=False, default=False, verbose_name="that URI is in a private network"
            ),
        ),
        migrations.AddField(
            model_name="client",
            name="backchannel_logout_uri",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=1000,
                verbose_name="URI that is told of ended sessions",
            ),
        ),
        migrations.CreateModel(
            name="LogoutNotice",
            fields=[
                ("session_id", models.UUIDField(primary_key=True, serialize=False)),
                ("user_id", models.UUIDField()),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("lease", models.UUIDField(null=True)),
                (
                    "client",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.client",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["client", "due_at"], name="logout_notices_due"),
                    models.Index(fields=["lease"], name="logout_notices_leased"),
                ],
            },
        ),
    ]
