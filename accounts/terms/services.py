"""Decides whether a user must accept the terms of the site, and records the acceptance.

A new version does not end sessions. Users are asked at their next sign-in, because the terms are
the last requirement of the authentication policy. Without ``TERMS_VERSION``, nobody is asked and
nothing is read.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.terms.models import TermsAcceptance
from accounts.users.models import User


class TermsRequired(PublicError):
    """The proofs are valid, but the user has not accepted the current terms.

    A client sends the same request again, with ``terms_version`` as the member ``terms``.
    """

    code = "terms_required"
    status = 403
    message = _("Read and accept the terms of this site first.")

    @property
    def more(self) -> dict[str, Any]:
        """The fields to add to the response."""
        config = settings.AUTHSITE
        return {"terms_url": config.terms_url, "terms_version": config.terms_version}


def must_accept(user: User) -> bool:
    """Return whether the site has terms whose current version ``user`` has not accepted."""
    version = settings.AUTHSITE.terms_version
    return bool(version) and not TermsAcceptance.objects.filter(user=user, version=version).exists()


def check(version: str) -> None:
    """Require that ``version`` is the current version, or that the site has no terms.

    Raises:
        TermsRequired: it is not.
    """
    if version != settings.AUTHSITE.terms_version:
        raise TermsRequired


def accept(user: User, version: str, actor: Actor) -> None:
    """Record that ``user`` accepts the terms.

    Raises:
        TermsRequired: ``version``, which the person has read, is not the current version.
    """
    check(version)
    note(user, version, actor, clock.now())


@transaction.atomic
def note(user: User, version: str, actor: Actor, at: datetime) -> None:
    """Record that ``user`` accepted ``version`` at the time ``at``, unless already recorded."""
    _row, is_new = TermsAcceptance.objects.get_or_create(
        user=user, version=version, defaults={"accepted_at": at}
    )
    if is_new:
        record(user, events.TERMS_ACCEPTED, actor, detail=version)
