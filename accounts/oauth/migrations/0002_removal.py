"""Clear up when the OpenID Provider is removed by ``migrate oauth zero``."""

from django.db import migrations


def remove(apps, schema_editor):
    """Delete the sessions of apps, the rights on apps, and the content types.

    The tokens of an app belong to its sessions. Without them, the API refuses the tokens at once.
    """
    apps.get_model("accounts", "LoginSession").objects.filter(kind="connected").delete()
    apps.get_model("contenttypes", "ContentType").objects.filter(app_label="oauth").delete()


class Migration(migrations.Migration):
    old_nodes = "It changes rows only when it is undone."
    # Not in the initial migration: PostgreSQL does not drop a table in the transaction that has
    # deleted rows to which its own rows refer.
    dependencies = [
        ("oauth", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(migrations.RunPython.noop, remove)]
