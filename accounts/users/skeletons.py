"""Stores the skeletons of taken usernames, so that look-alike usernames are refused.

A skeleton is a form of a name that all look-alike names share (UTS 39). It is the primary key of
``NameSkeleton``, so only one of several look-alike usernames can be taken.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.common import clock, secrets
from accounts.users import usernames
from accounts.users.models import BlockedName, NameSkeleton, PendingSignup, User, Username

# Each name has two skeletons, and SQLite may accept no more than 999 parameters.
BATCH = 400
# The time for which the username of a deleted account is blocked, and the purpose of the stored
# digests.
BLOCKED_LIFE = timedelta(days=365)
BLOCKED = "skeleton of a deleted username"


def held_by(looks: set[str]) -> set[str]:
    """Return the keys of the usernames that have one of the skeletons ``looks``."""
    rows = NameSkeleton.objects.filter(skeleton__in=looks, name__isnull=False)
    return set(rows.values_list("name", flat=True))


def taken(looks: set[str]) -> set[str]:
    """Return the skeletons in ``looks`` that are taken, or blocked after a deletion."""
    found = NameSkeleton.objects.filter(skeleton__in=looks).values_list("skeleton", flat=True)
    return set(found) | blocked(looks)


def blocked(looks: set[str]) -> set[str]:
    """Return the skeletons in ``looks`` of usernames whose accounts were deleted."""
    by_digest = {text: look for look in looks for text in secrets.digests(look, BLOCKED)}
    rows = BlockedName.objects.filter(digest__in=by_digest, until__gt=clock.now())
    return {by_digest[digest] for digest in rows.values_list("digest", flat=True)}


def block(looks: set[str]) -> None:
    """Block the skeletons ``looks`` of a username whose account is deleted, for a year."""
    BlockedName.objects.bulk_create(
        (
            BlockedName(digest=secrets.digest(look, BLOCKED), until=clock.now() + BLOCKED_LIFE)
            for look in sorted(looks)
        ),
        update_conflicts=True,
        unique_fields=["digest"],
        update_fields=["until"],
    )


def hold(key: str, looks: set[str], *, instead_of: User | None) -> None:
    """Reserve the skeletons ``looks`` for the username ``key``, which must already be taken.

    ``instead_of``: the user who is renamed, or None. Skeletons that the user's current name and the
        new name share are moved to the new name.

    Raises:
        IntegrityError: another username has one of the skeletons.
    """
    if instead_of:
        own = NameSkeleton.objects.filter(name=instead_of.username_key, skeleton__in=looks)
        own.update(name=key)
        looks = looks - usernames.skeletons(instead_of.username)
    # The order prevents deadlocks between two transactions.
    NameSkeleton.objects.bulk_create(
        NameSkeleton(skeleton=look, name_id=key) for look in sorted(looks)
    )


class Check:
    """Recomputes the skeletons of all taken usernames.

    ``names``: the number of usernames.
    ``twins``: groups of usernames that look alike.
    ``refused``: the usernames that are not allowed, each with the reason.
    """

    def __init__(self) -> None:
        self.names = 0
        self.twins: set[tuple[str, ...]] = set()
        self.refused: dict[str, ValidationError] = {}
        # By skeleton: the usernames that have this skeleton although its row belongs to another.
        self.without: dict[str, set[str]] = defaultdict(set)

    def run(self) -> Self:
        """Recompute all skeletons in batches, each in a transaction."""
        last: str | None = ""
        while last is not None:
            with transaction.atomic():
                last = self._renew(last)
        shared = NameSkeleton.objects.filter(name=None).values_list("pk", flat=True)
        for look in {*self.without, *shared}:
            with transaction.atomic():
                self._settle(look)
        return self

    def _renew(self, last: str) -> str | None:
        """Recompute the skeletons of the next batch of usernames, in the order of their keys.

        ``last``: the last key of the previous batch. Return the last key of this batch, or None if
            no usernames are left.
        """
        keys = list(self._locked(pk__gt=last)[:BATCH])
        written = self._written(keys)
        looks = {key: usernames.skeletons(written.get(key, key)) for key in keys}
        # The displayed form of a former name is not stored, so its skeletons are not recomputed.
        rows = NameSkeleton.objects.filter(name__in=written).values_list("pk", "name")
        stale = [look for look, key in rows if look not in looks[key]]
        NameSkeleton.objects.filter(pk__in=stale).delete()
        pairs = sorted((look, key) for key in keys for look in looks[key])
        NameSkeleton.objects.bulk_create(
            (NameSkeleton(skeleton=look, name_id=key) for look, key in pairs),
            ignore_conflicts=True,
        )
        held = NameSkeleton.objects.filter(pk__in={look for look, _key in pairs})
        holders = dict(held.values_list("pk", "name"))
        for look, key in pairs:
            if holders.get(look) != key:
                self.without[look].add(key)
        self.names += len(keys)
        self._look_for_refused(keys)
        return keys[-1] if keys else None

    def _settle(self, look: str) -> None:
        """Store which username has the skeleton ``look``.

        If several usernames have it, store null and report them. If none has it, delete the row.
        """
        rows = NameSkeleton.objects.filter(pk=look, name__isnull=False)
        holders = rows.values_list("name", flat=True)
        keys = list(self._locked(pk__in=self.without[look].union(holders)))
        written = self._written(keys)
        alike = [k for k in keys if k not in written or look in usernames.skeletons(written[k])]
        if not alike:
            NameSkeleton.objects.filter(pk=look).delete()
            return
        holder = alike[0] if len(alike) == 1 else None
        NameSkeleton.objects.update_or_create(pk=look, defaults={"name_id": holder})
        if not holder:
            self.twins.add(tuple(written.get(key, key) for key in alike))

    def _locked(self, **which: Any) -> Any:
        """Return the keys of taken names, and lock their rows until the transaction ends."""
        rows = Username.objects.select_for_update().filter(**which).order_by("pk")
        return rows.values_list("pk", flat=True)

    def _written(self, keys: Iterable[str]) -> dict[str, str]:
        """Map the keys of usernames to their displayed forms. Former usernames have none."""
        displayed: dict[str, str] = {}
        for rows in (PendingSignup.objects, User.objects):
            displayed |= rows.filter(username_key__in=keys).values_list("username_key", "username")
        return displayed

    def _look_for_refused(self, keys: Iterable[str]) -> None:
        people = User.objects.filter(username_key__in=keys)
        for name in people.values_list("username", flat=True):
            try:
                usernames.clean(name)
            except ValidationError as error:
                self.refused[name] = error
