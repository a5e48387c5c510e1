from django.db import migrations, models

import accounts.common.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0030_daily_counts"),
    ]

    operations = [
        migrations.CreateModel(
            name="MailReceipt",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("recipient", models.CharField(max_length=64)),
                ("heading", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(db_index=True, default=accounts.common.clock.now)),
                ("failure", models.CharField(blank=True, max_length=60)),
            ],
        ),
        migrations.AddField(
            model_name="outgoingmail",
            name="heading",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="outgoingmail",
            name="recipient",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddIndex(
            model_name="outgoingmail",
            index=models.Index(fields=["recipient"], name="mails_by_recipient"),
        ),
        migrations.AddIndex(
            model_name="mailreceipt",
            index=models.Index(fields=["recipient", "-done_at"], name="receipts_by_recipient"),
        ),
    ]
