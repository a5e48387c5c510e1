"""Shows people in their history which staff opened the page about them (``STAFF_VIEWS_SHOWN``)."""

from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.throttle.limits import STAFF
from accounts.throttle.services import spend
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.rights import role_of

# Later views of the same person are part of the same conversation.
ONCE = timedelta(hours=1)


def note(user: User, staff: User, actor: Actor) -> None:
    """Record that ``staff`` opened a page about ``user``, at most once an hour.

    ``actor``: the client and the session of ``staff``.

    The row names the role of ``staff`` for ``user``, and the username for other staff. Nothing is
    recorded if people look at their own page or if ``STAFF_VIEWS_SHOWN`` is ``off``.
    """
    actor = replace(actor, name=staff.username)
    if settings.AUTHSITE.staff_views_shown == "off" or user == staff or _is_noted(user, actor):
        return
    with transaction.atomic():
        # Two requests of the same member of staff must not add two rows.
        users.lock_row_as_is(user)
        if not _is_noted(user, actor):
            role = role_of(staff) or ""
            record(user, events.PAGE_OPENED, actor, detail=role)


def note_details(user: User, staff: User, actor: Actor) -> None:
    """Record in both histories that the auditor ``staff`` has seen all details of ``user``.

    ``actor``: the client of ``staff``, with the reason. The row of the user also has the role of
    ``staff``. If ``STAFF_VIEWS_SHOWN`` is ``off``, only ``staff`` gets a row.

    Raises:
        RateLimited: ``staff`` has read too many users.
    """
    spend(STAFF.of("read", staff.pk))
    with transaction.atomic():
        record(staff, events.DETAILS_SEEN, actor, detail=user.username)
        if settings.AUTHSITE.staff_views_shown == "on":
            by_staff = replace(actor, name=staff.username)
            record(user, events.DETAILS_READ, by_staff, detail=role_of(staff) or "")


def _is_noted(user: User, actor: Actor) -> bool:
    rows = activity.of(user).filter(kind=events.PAGE_OPENED.name, actor=actor.name)
    return rows.filter(at__gt=clock.now() - ONCE).exists()
