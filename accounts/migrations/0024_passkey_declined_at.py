from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0023_emailed_codes"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="passkey_declined_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
