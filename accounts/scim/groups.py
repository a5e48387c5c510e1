"""The groups of a directory, which decides who of the people that it manages is in them.

A directory sees and changes only groups that it has created and that give no rights on this site.
Members whom it does not manage stay in the group, and the directory does not see them.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, ProtectedError, QuerySet
from django.http import Http404

from accounts.activity import events
from accounts.activity.services import Actor, record_for_superusers, record_many
from accounts.common.pages import absolute
from accounts.scim import users as people
from accounts.scim.models import LONGEST_EXTERNAL_ID, Directory, ManagedGroup
from accounts.scim.protocol import CORE, UNSUPPORTED, Resource, ScimError, canonical
from accounts.users.models import User
from accounts.users.rights import note_groups_changed

TYPE = "Group"
SCHEMA = {"displayName": None, "externalId": None, "members": [{"value": None}]}


def of(directory: Directory, *, has_members: bool = True) -> QuerySet[ManagedGroup]:
    """Return the groups that ``directory`` sees, oldest first.

    ``has_members``: whether the members are read, too.
    """
    rows = ManagedGroup.objects.filter(directory=directory, group__permissions=None)
    rows = rows.select_related("group").order_by("created_at", "pk")
    if not has_members:
        return rows
    members = User.objects.filter(pk__in=people.of(directory).values("user")).only("pk")
    return rows.prefetch_related(
        Prefetch("group__user_set", members.order_by("username"), to_attr="shown_members")
    )


def select(
    directory: Directory, conditions: Mapping[str, Any], *, has_members: bool
) -> QuerySet[ManagedGroup]:
    """Return the groups of ``directory`` that meet ``conditions``, the values of a filter.

    Raises:
        ScimError: a condition is about another attribute.
    """
    rows = of(directory, has_members=has_members)
    for path, value in conditions.items():
        if path in ("members", "members.value"):
            member = people.of(directory).filter(user=people.id_of(str(value)))
            rows = rows.filter(group__user__in=member.values("user"))
        elif path == "id":
            rows = rows.filter(pk=people.id_of(str(value)))
        elif path == "displayname":
            rows = rows.filter(group__name__iexact=str(value))
        elif path == "externalid":
            rows = rows.filter(external_id=value)
        else:
            raise ScimError("invalidFilter", UNSUPPORTED % "displayName, externalId, members, id")
    return rows


def resource(row: ManagedGroup) -> Resource:
    """Return the group as a SCIM resource, without version; with members if they were read."""
    members = [
        people.reference("user", user.pk) for user in getattr(row.group, "shown_members", ())
    ]
    return {
        "schemas": [f"{CORE}{TYPE}"],
        "id": str(row.pk),
        "displayName": row.group.name,
        **({"externalId": row.external_id} if row.external_id else {}),
        **({"members": members} if members else {}),
        "meta": {
            "resourceType": TYPE,
            "created": row.created_at.isoformat(),
            "location": absolute("scim-group", row.pk),
        },
    }


def create(directory: Directory, given: Any, actor: Actor) -> ManagedGroup:
    """Create a group without rights.

    Raises:
        ScimError: a value is missing or not allowed. With status 409, the name is taken.
    """
    with people.unique():
        row = ManagedGroup(directory=directory, group=Group())
        _save(row, canonical(given, SCHEMA), actor)
    return of(directory).get(pk=row.pk)


def change(
    directory: Directory, id: UUID, actor: Actor, apply: Callable[[Resource], Any]
) -> ManagedGroup:
    """Change the group with this id as the function ``apply`` changes its resource.

    Raises:
        Http404: ``directory`` sees no such group.
        ScimError: see :func:`create`.
    """
    with people.unique():
        row = _locked(directory, id)
        _save(row, canonical(apply(resource(row)), SCHEMA), actor)
    return of(directory).get(pk=id)


def delete(
    directory: Directory, id: UUID, actor: Actor, check: Callable[[Resource], object]
) -> None:
    """Delete a group.

    Raises:
        Http404: ``directory`` sees no such group.
        ScimError: an app needs the group, or people whom the directory does not manage are in it.
    """
    with transaction.atomic():
        row = _locked(directory, id)
        check(resource(row))
        _set_members(row, set(), actor)
        if row.group.user_set.exists():
            raise ScimError("mutability", "Other people are in this group.", 409)
        try:
            row.group.delete()
        except ProtectedError:
            raise ScimError("mutability", "An app needs this group.", 409) from None
        record_for_superusers(events.GROUP_CHANGED, actor, row.group.name)


def _locked(directory: Directory, id: UUID) -> ManagedGroup:
    """Lock the group, and return it as read under the lock."""
    Group.objects.select_for_update(of=("self",), no_key=True).filter(managed=id).first()
    if row := of(directory).filter(pk=id).first():
        return row
    raise Http404


def _save(row: ManagedGroup, data: Resource, actor: Actor) -> None:
    """Store ``data``; record for superusers if the group is new or was renamed."""
    # A proxy removes spaces from a header, and some apps ignore case. "Admins " must not be taken
    # for another group.
    name, external_id = data.get("displayName", "").strip(), data.get("externalId", "")
    group, is_new = row.group, row.group.pk is None
    try:
        if len(external_id) > LONGEST_EXTERNAL_ID:
            raise ValidationError("The externalId is too long.")
        if is_new or name != group.name:
            if Group.objects.filter(name__iexact=name).exclude(pk=group.pk).exists():
                raise ScimError("uniqueness", "A group has this name.", 409)
            group.name = name
            group.full_clean(validate_unique=False)
            group.save()
            record_for_superusers(events.GROUP_CHANGED, actor, name)
            note_groups_changed(group.user_set.all())
    except ValidationError as error:
        raise ScimError("invalidValue", error.messages[0]) from None
    row.group, row.external_id = group, external_id
    row.save()
    _set_members(row, {member.get("value", "") for member in data.get("members", ())}, actor)


def _set_members(row: ManagedGroup, ids: set[str], actor: Actor) -> None:
    """Replace the members whom the directory manages with the people with these ``ids``.

    Their sessions continue, because the group gives no rights on this site. Apps that require the
    group check it whenever they get a token.

    Raises:
        ScimError: the directory sees no person with one of the ids.
    """
    seen = people.of(row.directory)
    wanted = {people.id_of(text) for text in ids}
    found = set(seen.filter(user__in=wanted).values_list("user", flat=True))
    if found != wanted:
        raise ScimError("invalidValue", "There is no such member.")
    through = User.groups.through.objects
    members = through.filter(group=row.group, user__in=seen.values("user"))
    present = set(members.values_list("user", flat=True))
    gone, new = present - found, found - present
    through.filter(group=row.group, user__in=gone).delete()
    through.bulk_create(User.groups.through(group=row.group, user_id=id) for id in new)
    if changed := gone | new:
        note_groups_changed(User.objects.filter(pk__in=changed))
        told = ((id, events.RIGHTS_CHANGED, row.group.name) for id in sorted(changed))
        record_many(told, actor)
