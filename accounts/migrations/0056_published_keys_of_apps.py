"""Add the URIs at which apps publish their keys, and the keys that were fetched from them."""

import datetime

import django.db.models.deletion
from django.db import migrations, models

NEVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0055_registration")]

    operations = [
        migrations.AddField(
            "client",
            "jwks_uri",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=1000,
                verbose_name="URI of its public keys",
            ),
        ),
        migrations.AddField(
            "client",
            "jwks_uri_is_private",
            models.BooleanField(
                db_default=False,
                default=False,
                verbose_name="the URI of its keys is in a private network",
            ),
        ),
        migrations.CreateModel(
            name="FetchedKeys",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uri", models.CharField(max_length=1000)),
                ("jwks", models.JSONField(default=dict)),
                ("tried_at", models.DateTimeField(default=NEVER)),
                ("fetched_at", models.DateTimeField(default=NEVER)),
                (
                    "client",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fetched_keys",
                        to="accounts.client",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("client", "uri"), name="one_set_of_keys_for_each_uri"
                    )
                ],
            },
        ),
    ]
