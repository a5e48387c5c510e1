"""Creates accounts for programs of staff, with password hashes of another system.

The person signs in with the username, and can then confirm the email address.
"""

from collections.abc import Collection, Mapping

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.administration import acts, changes
from accounts.administration.roles import NotInRole
from accounts.calls import services as calls
from accounts.common import clock
from accounts.emails.models import PendingEmail
from accounts.imports.models import UNVERIFIED_LIFE
from accounts.invitations.services import may_invite
from accounts.users import emails
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.rights import ACTING, role_of


def create(
    staff: User,
    actor: Actor,
    *,
    username: str,
    email: str,
    password: str,
    groups: Collection[Group] = (),
    profile: Mapping[str, str],
    is_limited: bool = True,
) -> User:
    """Create an account, as an import does, and record it in both histories.

    ``actor``: the API key and the client of ``staff``, with the reason.
    ``password``: the hash, in the form in which it is stored.
    ``is_limited``: see :func:`acts.perform`.

    Raises:
        NotInRole: no API key is used, or ``staff`` may not invite, not act, or not change groups.
        MoreThanOwnRights: ``staff`` may not give one of the groups.
        UsernameTaken: another person has the username, or one that looks the same.
        RateLimited: ``staff`` acted too often.
    """
    if not (actor.key and may_invite(staff) and role_of(staff) in ACTING):
        raise NotInRole
    if is_limited:
        acts.count(staff, actor)
    with transaction.atomic():
        users.take_username(username, until=None)
        user = users.create_user(username, password)
        User.objects.filter(pk=user.pk).update(**profile)
        key, until = emails.key(email), clock.now() + UNVERIFIED_LIFE
        PendingEmail.objects.create(user=user, email=email, key=key, expires_at=until)
        calls.created(user.pk, owner=staff.pk)
        record(user, events.IMPORTED, actor.as_staff(staff))
        acts.note(staff, actor, user, events.IMPORTED.sentence)
        if groups:
            changes.set_groups(user, groups, staff, actor)
    return user
