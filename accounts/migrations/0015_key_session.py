from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0014_disputes"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="session",
            field=models.UUIDField(null=True),
        ),
    ]
