from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0019_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="mailreceipt",
            name="mass",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="outgoingmail",
            name="mass",
            field=models.UUIDField(null=True),
        ),
    ]
