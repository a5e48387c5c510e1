"""Bind the tokens of apps to keys of these apps (DPoP, RFC 9449)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0045_service_of_an_app"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpentProof",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name="authorizationcode",
            name="dpop_jkt",
            field=models.CharField(blank=True, db_default="", default="", max_length=43),
        ),
        migrations.AddField(
            model_name="authorizationrequest",
            name="dpop_jkt",
            field=models.CharField(blank=True, db_default="", default="", max_length=43),
        ),
        migrations.AddField(
            model_name="client",
            name="requires_dpop",
            field=models.BooleanField(
                db_default=False, default=False, verbose_name="must use DPoP"
            ),
        ),
        migrations.AddField(
            model_name="loginsession",
            name="dpop_thumbprint",
            field=models.CharField(blank=True, db_default="", default="", max_length=43),
        ),
    ]
