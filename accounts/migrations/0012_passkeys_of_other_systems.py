from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_mail_queues"),
    ]

    operations = [
        migrations.AlterField(
            model_name="passkey",
            name="is_eligible",
            field=models.BooleanField(null=True),
        ),
    ]
