from django.db import migrations

from accounts.users.skeletons import Check


def hold_what_names_look_like(apps, schema_editor):
    Check(apps).run()


class Migration(migrations.Migration):
    # In batches: the version before goes on meanwhile. After an interruption it begins anew.
    atomic = False

    dependencies = [
        ("accounts", "0019_name_skeleton_table"),
    ]

    operations = [
        migrations.RunPython(hold_what_names_look_like, migrations.RunPython.noop),
    ]
