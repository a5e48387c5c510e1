from django.db import migrations, models


class Migration(migrations.Migration):
    old_nodes = "They only ask whether the browser reports another value."

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
