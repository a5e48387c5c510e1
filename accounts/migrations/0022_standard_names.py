"""Models and fields get the standard names; their tables and columns keep theirs.

No operation changes the database, so both versions of the site run on it during an upgrade.
"""

import django.db.models.deletion
from django.db import migrations, models

IP = models.CharField(blank=True, db_column="address", max_length=45)
EMAIL = models.EmailField(db_column="address", max_length=254)
# The model, the old and the new name of the field, and the field with its column.
FIELDS = [
    (
        "browsersession",
        "login",
        "login_session",
        models.ForeignKey(
            db_column="login_id",
            null=True,
            on_delete=django.db.models.deletion.CASCADE,
            related_name="browsers",
            to="accounts.loginsession",
        ),
    ),
    ("activity", "address", "ip", IP),
    ("apikey", "address", "ip", IP),
    ("loginsession", "address", "ip", IP),
    ("emailaddress", "address", "email", EMAIL),
    ("pendingemail", "address", "email", EMAIL),
    ("pendingsignup", "address", "email", EMAIL),
    (
        "pendingsignup",
        "address_key",
        "email_key",
        models.CharField(db_column="address_key", db_index=True, max_length=762),
    ),
    (
        "code",
        "address",
        "email",
        models.CharField(blank=True, db_column="address", max_length=254),
    ),
]


def owner(related_name: str) -> models.ForeignKey:
    """Return the foreign key to the user with the new ``related_name``."""
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE,
        related_name=related_name,
        to="accounts.user",
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0021_known_browser_factor")]

    operations = [
        # These two rename the content types as well.
        migrations.AlterModelTable("address", "accounts_address"),
        migrations.RenameModel("address", "EmailAddress"),
        migrations.AlterModelTable("pendingaddress", "accounts_pendingaddress"),
        migrations.RenameModel("pendingaddress", "PendingEmail"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                operation
                for model, old, new, field in FIELDS
                for operation in (
                    migrations.AlterField(model, old, field),
                    migrations.RenameField(model, old, new),
                )
            ]
            + [
                migrations.AlterField("emailaddress", "user", owner("emails")),
                migrations.AlterField("pendingemail", "user", owner("pending_emails")),
            ]
        ),
    ]
