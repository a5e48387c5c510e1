"""Queues of the outbox, and the time at which a mail expires."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0016_passkey_eligible")]

    operations = [
        migrations.AddField("outgoingmail", "expires_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "outgoingmail", "queue", models.PositiveSmallIntegerField(db_default=0, default=0)
        ),
        migrations.AddIndex(
            "outgoingmail", models.Index(fields=["queue", "due_at"], name="mails_to_leave")
        ),
    ]
