"""Note who has described an app: an operator, its metadata document, or the app itself."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0051_keys_of_apps")]

    operations = [
        migrations.AddField(
            "client",
            "source",
            models.CharField(
                choices=[
                    ("operator", "An operator"),
                    ("metadata document", "Its metadata document"),
                    ("registration", "Itself, with a token"),
                ],
                db_default="operator",
                default="operator",
                editable=False,
                max_length=20,
                verbose_name="described by",
            ),
        ),
    ]
