from django.db import migrations, models

import accounts.common.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_passkeys_of_other_systems"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportedFile",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("at", models.DateTimeField(default=accounts.common.clock.now)),
            ],
        ),
    ]
