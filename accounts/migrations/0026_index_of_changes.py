from django.db import migrations, models


class Migration(migrations.Migration):
    old_nodes = "Changes of users wait while the index is made: about a second for a million users."

    dependencies = [
        ("accounts", "0025_vouched_addresses"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="user",
            index=models.Index(fields=["updated_at"], name="users_by_change"),
        ),
    ]
