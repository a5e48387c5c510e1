"""Add when metadata documents were read, and the requests that wait for one to be read."""

from django.db import migrations, models

import accounts.common.clock
import accounts.common.secrets


class Migration(migrations.Migration):
    dependencies = [("accounts", "0056_published_keys_of_apps")]

    operations = [
        migrations.AddField(
            "client", "document_read_at", models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddField(
            "client", "document_due_at", models.DateTimeField(editable=False, null=True)
        ),
        migrations.CreateModel(
            name="UnreadRequest",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=accounts.common.secrets.token,
                        max_length=43,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("browser", models.CharField(max_length=64)),
                ("query", models.TextField()),
                ("made_at", models.DateTimeField(default=accounts.common.clock.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
