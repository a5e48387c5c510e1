"""The identifiers by which apps know people (OpenID Connect Core section 8).

An app without a sector knows a person by the id of the account. The apps of a sector know the
person by a random identifier, which apps of other sectors never get.
"""

import uuid

from accounts.oauth.models import Client, PairwiseSubject
from accounts.users.models import User


def subject_of(client: Client, user: User) -> uuid.UUID | None:
    """Return the identifier of ``user`` at ``client``; None if there is none yet."""
    return _pairwise(client, user) if client.sector else user.pk


def make_pairwise(client: Client, user: User) -> uuid.UUID | None:
    """Return the pairwise identifier of ``user`` for ``client``; make it if there is none yet.

    Return None if ``client`` has no sector. Call this in a transaction that has locked a row of
    ``user``, so that the account is not deleted meanwhile.
    """
    if not client.sector:
        return None
    found = _pairwise(client, user)
    if found is None:
        # If another app of the sector inserts the row at the same time, that row counts.
        rows = [PairwiseSubject(user=user, sector=client.sector)]
        PairwiseSubject.objects.bulk_create(rows, ignore_conflicts=True)
        found = _pairwise(client, user)
    return found


def _pairwise(client: Client, user: User) -> uuid.UUID | None:
    rows = PairwiseSubject.objects.filter(user=user, sector=client.sector)
    return rows.values_list("subject", flat=True).first()
