"""Failed reauthentication: recorded, and told to the owner when somebody seems to guess."""

import uuid
from datetime import timedelta
from typing import cast

from django.db import transaction

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Source, record
from accounts.kernel import clock
from accounts.sessions.models import LoginSession
from accounts.users.models import User

# The owner's own slips are no news. As many as ``throttle.limits.PROOF_SESSION`` lets through at
# once, so that a thief who is stopped there doesn't go unnoticed.
NEWS_AFTER = 5
NEWS_EVERY = timedelta(days=1)


@transaction.atomic
def record_failed_proof(user: User, source: Source) -> None:
    """Record that a proof was wrong in the session of ``source``, in which ``user`` is signed in.

    The fifth within 24 hours is mailed, once in 24 hours for each session: whoever guesses there
    may have stolen it (ASVS 6.3.5).
    """
    session = cast(uuid.UUID, source.session)
    # Held, so that of two at once the second counts the first.
    LoginSession.objects.select_for_update(no_key=True).filter(pk=session).first()
    record(user, events.PROOF_FAILED, source)
    recent = Activity.objects.filter(user=user, session=session, at__gt=clock.now() - NEWS_EVERY)
    failures = recent.filter(kind=events.PROOF_FAILED.name)
    is_told = recent.filter(kind=events.PROOF_GUESSED.name).exists()
    if failures.count() >= NEWS_AFTER and not is_told:
        record(user, events.PROOF_GUESSED, source)
