from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0037_budget_without_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="staff_scope",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
