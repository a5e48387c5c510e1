"""Grants authorization requests: each once, and only what the person has agreed to."""

from django.db import transaction

from accounts.activity.services import Actor
from accounts.oauth import codes, connections, devices
from accounts.oauth.clients import registration
from accounts.oauth.models import AuthorizationRequest
from accounts.sessions.models import LoginSession


class AlreadyAnswered(Exception):
    """The request was answered meanwhile, for example in another tab."""


class AppExpired(AlreadyAnswered):
    """The app registered itself, and has expired because nobody signed in to it in time."""


class ConsentMissing(Exception):
    """The person has disconnected the app meanwhile."""


def grant(
    asked: AuthorizationRequest, session: LoginSession, actor: Actor, *, agrees: bool = False
) -> str:
    """Answer ``asked`` with a new code for the user of ``session``.

    If a device asks, return "": it redeems its device code instead.

    ``agrees``: whether the person has just agreed to what the app gets.

    Raises:
        AlreadyAnswered: the request was answered meanwhile.
        AppExpired: the app registered itself, and nobody had signed in to it in time.
        ConsentMissing: the person has not just agreed, and no earlier agreement is left.
        AccountChanged: the account was locked or changed meanwhile.
    """
    try:
        return _grant(asked, session, actor, agrees=agrees)
    except ConsentMissing:
        if agrees or not asked.client.is_first_party:
            raise
    # In a new transaction: :func:`connections.agree` locks the user before the connection. After
    # :func:`connections.renew`, which locks the connection, it could deadlock with a disconnection.
    return _grant(asked, session, actor, agrees=True)


@transaction.atomic
def _grant(
    asked: AuthorizationRequest, session: LoginSession, actor: Actor, *, agrees: bool
) -> str:
    # Only one of two tabs deletes the row.
    if not asked._state.adding and not close(asked):
        raise AlreadyAnswered
    if asked.device_id and not devices.decide(asked, allows=True):
        raise AlreadyAnswered
    if agrees:
        if not registration.keep(asked.client):
            raise AppExpired
        connections.agree(asked, session.user, actor)
    elif not connections.renew(asked, session.user):
        raise ConsentMissing
    if asked.device:
        codes.issue_for_device(asked, session, asked.device)
        return ""
    return codes.issue(asked, session)


@transaction.atomic
def refuse(asked: AuthorizationRequest) -> bool:
    """Delete a stored request that the person refuses; return False if it was answered meanwhile.

    If a device asks, also record the refusal, so that the device gets ``access_denied``.
    """
    return close(asked) and (not asked.device_id or devices.decide(asked, allows=False))


def close(asked: AuthorizationRequest) -> bool:
    """Delete a stored request; return False if it was answered meanwhile."""
    return bool(AuthorizationRequest.objects.filter(pk=asked.pk).delete()[0])
