"""Groups and their rights in a settings file. A role is a group with the right that gives it."""

from functools import cached_property

from django.contrib.auth.models import Group, Permission

from accounts.administration import changes, roles
from accounts.settingsfile.kinds import ACTOR, Kind, Values, in_order


class Groups(Kind[Group]):
    """The groups, by name. ``rights``: permissions, such as ``accounts.view_user``."""

    name = "groups"

    @property
    def defaults(self) -> Values:
        return {"rights": []}

    @cached_property
    def rights(self) -> dict[str, Permission]:
        """The permissions that a superuser can give to a group in the admin, by name."""
        return {_name_of(right): right for right in roles.rights_to_give()}

    def rows(self) -> dict[str, Group]:
        rows = Group.objects.prefetch_related("permissions__content_type").order_by("name")
        return {group.name: group for group in rows}

    def values(self, row: Group) -> Values:
        held = {_name_of(right) for right in row.permissions.all()}
        return {"rights": [name for name in self.rights if name in held]}

    def normal(self, _name: str, value: list[str]) -> list[str]:
        return in_order(value, self.rights)

    def save(self, identity: str, row: Group | None, values: Values, _changed: set[str]) -> Group:
        group = row or Group(name=identity)
        group.full_clean()
        group.save()
        group.permissions.set(self.rights[name] for name in values["rights"])
        changes.tell_group(group, group.user_set.all(), None, ACTOR)
        return group

    def remove(self, row: Group) -> bool:
        return changes.delete_group(row, None, ACTOR)

    def mark(self, row: Group) -> str:
        """Return the id and the name: a group that staff have renamed is theirs."""
        return f"{row.pk} {row.name}"


def _name_of(right: Permission) -> str:
    return f"{right.content_type.app_label}.{right.codename}"
