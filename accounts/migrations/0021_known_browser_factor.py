from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0020_username_skeletons"),
    ]

    operations = [
        migrations.AddField(
            model_name="knownbrowser",
            name="factor_at",
            field=models.DateTimeField(null=True),
        ),
    ]
