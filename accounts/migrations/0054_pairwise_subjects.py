"""Add the identifiers by which apps know people, if these are not the ids of the accounts."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import accounts.common.secrets


class Migration(migrations.Migration):
    dependencies = [("accounts", "0053_logos_of_apps")]

    operations = [
        migrations.AddField(
            "client",
            "sector",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=253,
                verbose_name="sector of pairwise identifiers",
            ),
        ),
        migrations.AddField("loginsession", "pairwise_subject", models.UUIDField(null=True)),
        # The column keeps its name, because the version before uses it.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameField("logoutnotice", "user_id", "subject"),
                migrations.AlterField(
                    "logoutnotice", "subject", models.UUIDField(db_column="user_id")
                ),
            ]
        ),
        migrations.CreateModel(
            name="PairwiseSubject",
            fields=[
                (
                    "subject",
                    models.UUIDField(
                        default=accounts.common.secrets.public_id,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("sector", models.CharField(max_length=253)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pairwise_subjects",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "sector"), name="one_subject_for_each_sector"
                    )
                ],
            },
        ),
    ]
