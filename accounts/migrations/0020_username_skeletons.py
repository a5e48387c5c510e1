from django.db import migrations

from accounts.users.skeletons import Check


def hold_what_names_look_like(apps, schema_editor):
    Check(apps).run()


class Migration(migrations.Migration):
    # Works in batches while the previous version of the site runs; can be interrupted and repeated.
    atomic = False

    dependencies = [
        ("accounts", "0019_name_skeleton_table"),
    ]

    operations = [
        migrations.RunPython(hold_what_names_look_like, migrations.RunPython.noop),
    ]
