"""Records failed reauthentication, and mails the owner if somebody seems to be guessing."""

import uuid
from datetime import timedelta
from typing import cast

from django.db import transaction

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.sessions.models import LoginSession
from accounts.users.models import User

# Fewer failures may be the owner's typing errors. ``throttle.limits.PROOF_SESSION`` allows exactly
# this many at once, so the mail goes out no later than the limit stops a thief.
NEWS_AFTER = 5
NEWS_EVERY = timedelta(days=1)


@transaction.atomic
def record_failed_proof(user: User, actor: Actor) -> None:
    """Record that ``user`` failed to reauthenticate in the session of ``actor``.

    The fifth failure within 24 hours is mailed, at most once in 24 hours for each session, because
    somebody who guesses may have stolen the session (ASVS 6.3.5).
    """
    session = cast(uuid.UUID, actor.session)
    # Lock the row, so that the second of two simultaneous failures counts the first.
    LoginSession.objects.select_for_update(no_key=True).filter(pk=session).first()
    record(user, events.PROOF_FAILED, actor)
    recent = Activity.objects.filter(user=user, session=session, at__gt=clock.now() - NEWS_EVERY)
    failures = recent.filter(kind=events.PROOF_FAILED.name)
    is_told = recent.filter(kind=events.PROOF_GUESSED.name).exists()
    if failures.count() >= NEWS_AFTER and not is_told:
        record(user, events.PROOF_GUESSED, actor)
