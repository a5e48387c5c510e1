"""Create the groups of the roles of staff (``accounts.administration.roles``)."""

from django.db import migrations

SEE = ("view_user", "view_dailycount")
HELP = (*SEE, "help_user")
RIGHTS = {
    "Auditor": SEE,
    "Support": HELP,
    "Manager": (*HELP, "manage_user", "add_invitation"),
}
# Django creates permissions only after all migrations: these have the same names.
PERMISSIONS = {
    "view_user": ("user", "Can view user"),
    "help_user": ("user", "Can help users who are not staff"),
    "manage_user": ("user", "Can help staff, and change the groups of others"),
    "add_invitation": ("invitation", "Can add invitation"),
    "view_dailycount": ("dailycount", "Can view overview"),
}


def permission_of(apps, codename):
    model, name = PERMISSIONS[codename]
    content_types = apps.get_model("contenttypes", "ContentType").objects
    content_type, _ = content_types.get_or_create(app_label="accounts", model=model)
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.get_or_create(
        codename=codename, content_type=content_type, defaults={"name": name}
    )[0]


def make_groups(apps, schema_editor):
    """Create the groups. A group of that name that already exists gets no new rights."""
    for name, codenames in RIGHTS.items():
        group, is_new = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        if is_new:
            group.permissions.set([permission_of(apps, codename) for codename in codenames])


class Migration(migrations.Migration):
    old_nodes = "It adds three groups with at most four permissions."

    dependencies = [
        ("accounts", "0001_initial"),
        ("administration", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
