from django.db import migrations

MOST = 1000


def note_factors(apps, schema_editor):
    """Note which users have a second factor."""
    users = apps.get_model("accounts", "User").objects.filter(has_factor=False)
    for name, only in (("Authenticator", {}), ("Passkey", {"confirmed": True})):
        rows = apps.get_model("accounts", name).objects.filter(**only).order_by("pk")
        last = 0
        while found := rows.filter(pk__gt=last).values_list("pk", "user")[:MOST]:
            users.filter(pk__in=[user for _pk, user in found]).update(has_factor=True)
            last = found[len(found) - 1][0]


class Migration(migrations.Migration):
    # Works in batches while the previous version of the site runs; can be interrupted and repeated.
    atomic = False

    dependencies = [
        ("accounts", "0032_people_without_factor"),
    ]

    operations = [
        migrations.RunPython(note_factors, migrations.RunPython.noop),
    ]
