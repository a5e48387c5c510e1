import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import accounts.common.clock
import accounts.common.secrets


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0026_pendingsignup_line"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.common.secrets.public_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("email", models.EmailField(max_length=254, verbose_name="email address")),
                ("email_key", models.CharField(db_index=True, max_length=762)),
                ("is_staff", models.BooleanField(default=False)),
                (
                    "created_at",
                    models.DateTimeField(default=accounts.common.clock.now, verbose_name="sent"),
                ),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires")),
                ("groups", models.ManyToManyField(related_name="+", to="auth.group")),
                (
                    "invited_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="invited by",
                    ),
                ),
            ],
            options={
                "verbose_name": "invitation",
                "verbose_name_plural": "invitations",
                "default_permissions": ("add",),
            },
        ),
    ]
