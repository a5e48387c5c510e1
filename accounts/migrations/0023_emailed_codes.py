from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0022_standard_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="emailed_codes",
            field=models.BooleanField(editable=False, null=True),
        ),
    ]
