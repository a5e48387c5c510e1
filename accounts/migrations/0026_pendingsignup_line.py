from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0025_why_sessions_ended"),
    ]

    operations = [
        migrations.AddField(
            model_name="pendingsignup",
            name="line",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
