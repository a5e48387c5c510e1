from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0027_invitations"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="identity",
            index=models.Index(fields=["subject"], name="identities_by_subject"),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("email", "")), fields=["username_key"], name="users_unconfirmed"
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(
                    models.Func(
                        "password",
                        output_field=models.BooleanField(),
                        template="SUBSTR(%(expressions)s, 1, 8) = '!locked '",
                    )
                ),
                fields=["username_key"],
                name="users_locked",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("is_active", False)),
                fields=["username_key"],
                name="users_switched_off",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("is_staff", True), ("is_superuser", True), _connector="OR"),
                fields=["username_key"],
                name="users_privileged",
            ),
        ),
    ]
