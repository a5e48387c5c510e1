from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_mail_queues"),
    ]

    operations = [
        migrations.AddField(
            model_name="activity",
            name="key",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
    ]
