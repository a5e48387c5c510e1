"""Records failed reauthentication, and emails the account owner if somebody may be guessing."""

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

# Fewer failures may be typing errors of the owner. ``throttle.limits.PROOF_SESSION`` allows the
# same number in a row, so the email is sent before the limit delays further attempts.
NEWS_AFTER = 5
NEWS_EVERY = timedelta(days=1)


@transaction.atomic
def record_failed_proof(user: User, actor: Actor) -> None:
    """Record that ``user`` failed to reauthenticate in the session of ``actor``.

    After the fifth failure in a session within 24 hours, the account owner is notified by email,
    because the session may be stolen (ASVS 6.3.5). The owner gets at most one such email in 24
    hours for each session.
    """
    session = cast(uuid.UUID, actor.session)
    # Lock the session, so that simultaneous failures are counted one after the other.
    LoginSession.objects.select_for_update(no_key=True).filter(pk=session).first()
    record(user, events.PROOF_FAILED, actor)
    recent = Activity.objects.filter(user=user, session=session, at__gt=clock.now() - NEWS_EVERY)
    failures = recent.filter(kind=events.PROOF_FAILED.name)
    is_told = recent.filter(kind=events.PROOF_GUESSED.name).exists()
    if failures.count() >= NEWS_AFTER and not is_told:
        record(user, events.PROOF_GUESSED, actor)
