from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0034_bulk_acts"),
    ]

    operations = [
        migrations.AddField(
            model_name="loginsession",
            name="elevated_until",
            field=models.DateTimeField(null=True),
        ),
    ]
