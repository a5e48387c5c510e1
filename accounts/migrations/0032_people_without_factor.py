from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0031_mail_receipts"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="has_factor",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("has_factor", False)),
                fields=["username_key"],
                name="users_without_factor",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("last_login", None)),
                fields=["username_key"],
                name="users_never_seen",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(fields=["date_joined"], name="users_by_date"),
        ),
    ]
