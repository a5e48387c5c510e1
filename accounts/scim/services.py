"""Creates directories and their tokens, and finds the directory of a token.

All superusers are notified of a new directory or token, because a directory can create accounts.
"""

import hmac
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record_for_superusers
from accounts.common import clock, secrets
from accounts.common.errors import PublicError
from accounts.common.pages import absolute
from accounts.common.secrets import SCIM_TOKEN, NewKey
from accounts.scim.models import Directory

# How long the former token stays valid.
OVERLAP = timedelta(days=7)
# The use of a token is recorded at most this often, to limit writes to the database.
NOTE_EVERY = timedelta(minutes=5)
# The fields that staff can change.
FIELDS = ("name", "expires_at")


class TokenReplaced(PublicError):
    """The directory already has a new token, perhaps because a form was sent twice."""

    code = "already_done"
    status = 409
    message = _("This directory already has a new token, and the former one is still valid.")


@transaction.atomic
def save(directory: Directory, actor: Actor, new: NewKey | None = None) -> str:
    """Save the fields :data:`FIELDS`; return the token of a new directory, else an empty text.

    ``new``: the token of a new directory; by default, a random one.

    Raises:
        ValidationError: the name is not allowed or taken.
    """
    is_new, text = directory._state.adding, ""
    if is_new:
        new = new or SCIM_TOKEN.make()
        directory.token_id, directory.digest, text = new.id, new.digest, new.text
        directory.made_by = actor.id
    directory.full_clean()
    directory.save(force_insert=is_new, update_fields=None if is_new else FIELDS)
    _tell(events.DIRECTORY_ADDED if is_new else events.DIRECTORY_CHANGED, directory, actor)
    return text


@transaction.atomic
def rotate(
    directory: Directory, actor: Actor, *, now: bool = False, new: NewKey | None = None
) -> str:
    """Create and return a new token of ``directory``. The former token stays valid for a week.

    ``now``: if True, the former token expires at once, because it may have leaked.
    ``new``: the new token; by default, a random one.

    Raises:
        TokenReplaced: the token before the current one is still valid.
    """
    directory = Directory.objects.select_for_update(no_key=True).get(pk=directory.pk)
    if not now and directory.former_until and directory.former_until > clock.now():
        raise TokenReplaced
    new = new or SCIM_TOKEN.make()
    former = ("", "") if now else (directory.token_id, directory.digest)
    directory.former_id, directory.former_digest = former
    directory.former_until = None if now else clock.now() + OVERLAP
    directory.token_id, directory.digest, directory.made_by = new.id, new.digest, actor.id
    directory.save()
    _tell(events.DIRECTORY_CHANGED, directory, actor)
    return new.text


@transaction.atomic
def set_enabled(directory: Directory, actor: Actor, *, enabled: bool) -> bool:
    """Enable or disable ``directory``; return False if this changes nothing.

    The accounts of a disabled directory stay active, and only staff can deactivate them.
    """
    rows = Directory.objects.filter(pk=directory.pk, disabled_at__isnull=not enabled)
    if not rows.update(disabled_at=None if enabled else clock.now()):
        return False
    event = events.DIRECTORY_CHANGED if enabled else events.DIRECTORY_DISABLED
    _tell(event, directory, actor)
    return True


def find(text: str) -> Directory | None:
    """Return the enabled directory whose valid token has the text ``text``, or None."""
    if not SCIM_TOKEN.is_key(text):
        return None
    id, now = SCIM_TOKEN.id_of(text), clock.now()
    which = Q(token_id=id) | Q(former_id=id, former_until__gt=now)
    live = Q(expires_at=None) | Q(expires_at__gt=now)
    directory = Directory.objects.filter(which, live, disabled_at=None).first()
    if directory is None:
        return None
    is_present = directory.token_id == id
    stored = directory.digest if is_present else directory.former_digest
    return directory if hmac.compare_digest(stored, secrets.plain_digest(text)) else None


def url() -> str:
    """Return the URL that is configured in a directory together with its token."""
    return absolute("scim-config").rpartition("/")[0]


def note_use(directory: Directory) -> None:
    """Record that ``directory`` is in use, at most once in five minutes."""
    now = clock.now()
    if directory.used_at is None or directory.used_at <= now - NOTE_EVERY:
        Directory.objects.filter(pk=directory.pk).update(used_at=now)


def _tell(event: Event, directory: Directory, actor: Actor) -> None:
    """Record ``event`` for the creator of the token, for ``actor`` and for every superuser."""
    record_for_superusers(event, actor, directory.name, also=(directory.made_by, actor.id))
