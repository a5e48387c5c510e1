"""Device authorization (RFC 8628), and granting the requests of devices and browsers once.

A device shows a code, which a person types in a browser. The browser then continues an ordinary
authorization request, which names the device instead of a redirect URI. Meanwhile, the device polls
the token endpoint with its device code.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NoReturn

from django.db import transaction
from django.db.models import QuerySet

from accounts.activity.services import Actor
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.oauth import codes, connections, requests
from accounts.oauth.clients import registration
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest, DeviceAuthorization
from accounts.oauth.protocol import OAuthError
from accounts.sessions.current import RECENT
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import USER_CODE_NETWORK, USER_CODE_PERSON, Budget
from accounts.throttle.services import around, give_back, hit
from accounts.users.models import User

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LIFE = timedelta(minutes=10)
# The row of an expired code is kept for this time, so that the device gets ``expired_token``.
KEEP_EXPIRED = timedelta(hours=1)
# The number of seconds by which the interval grows if a device polls too early (RFC 8628 section
# 3.5), and the longest interval.
SLOWER, LONGEST_INTERVAL = 5, 60
# Separates these digests from other digests of ``secrets.digest``.
_PURPOSE = "device"


def begin(
    client: Client, given: Mapping[str, str], info: ClientInfo, budgets: Sequence[Budget]
) -> tuple[str, str]:
    """Store the authorization request of a device; return the device code and the user code.

    ``given``: the parameters of the request.
    ``info``: the client info of the device.
    ``budgets``: the rate limits that count the request.

    Raises:
        OAuthError: ``client`` may not sign in devices, or may not request the scope or
            resource.
        RateLimited: too many requests were stored.
    """
    check_allowed(client)
    scope, audience = requests.access_of(client, given)
    hit(*budgets)
    device_code, user_code = secrets.token(), secrets.user_code()
    DeviceAuthorization.objects.create(
        digest=secrets.plain_digest(device_code),
        user_code=secrets.digest(user_code, _PURPOSE),
        client=client,
        scope=scope,
        audience=audience,
        agent=info.user_agent,
        ip=info.ip,
        expires_at=clock.now() + LIFE,
    )
    return device_code, shown(user_code)


def shown(user_code: str) -> str:
    """Return ``user_code`` as the device shows it: two halves in capital letters."""
    letters = "".join(c for c in user_code[:64].upper() if c in secrets.USER_CODE_ALPHABET)
    return f"{letters[:4]}-{letters[4:]}"


def find_request(typed: str, user: User, info: ClientInfo) -> AuthorizationRequest | None:
    """Return an unsaved authorization request for the device that shows the code ``typed``.

    Return None if no device shows it. The request can be granted only after recent authentication.

    ``user``: the user who types the code.
    ``info``: the client info of the user's browser.

    Raises:
        RateLimited: the user or the network has typed too many wrong codes.
    """
    budgets = [USER_CODE_PERSON.of(user.pk), *around(USER_CODE_NETWORK, info)]
    hit(*budgets)
    digests = secrets.digests(shown(typed).replace("-", ""), _PURPOSE)
    rows = _unanswered().filter(user_code__in=digests).select_related("client")[:2]
    # If two devices have the same code by chance, it is unknown which one the person sees.
    if len(rows) != 1:
        return None
    give_back(*budgets)
    return AuthorizationRequest(
        client=rows[0].client,
        device=rows[0],
        scope=rows[0].scope,
        audience=rows[0].audience,
        max_age=int(RECENT.total_seconds()),
        expires_at=rows[0].expires_at,
    )


def decide(asked: AuthorizationRequest, *, allows: bool) -> bool:
    """Record whether the person allows the request of the device; return whether this succeeded.

    It fails if the request has expired or was already answered. If two people type the same code,
    only one of them can answer.
    """
    rows = _unanswered().filter(pk=asked.device_id)
    return bool(rows.update(is_allowed=allows))


def check_decision(device_code: str, client: Client) -> None:
    """Require that a person has allowed the request of the device (RFC 8628 section 3.5).

    Raises:
        OAuthError: the person has not answered or has refused, or the code is not valid.
    """
    check_allowed(client)
    digest = secrets.plain_digest(device_code)
    device = DeviceAuthorization.objects.filter(pk=digest, client=client).first()
    if device is None:
        raise OAuthError("invalid_grant", "The device code is unknown or for another client.")
    if device.expires_at <= clock.now():
        raise OAuthError("expired_token", "The device code has expired.")
    if device.is_allowed is None:
        _wait(device)
    if not device.is_allowed:
        raise OAuthError("access_denied", "The person has refused.")


def check_allowed(client: Client) -> None:
    """Require that ``client`` may sign people in on devices.

    Raises:
        OAuthError: ``unauthorized_client``: the client is not registered for this.
    """
    if not client.is_device:
        raise OAuthError("unauthorized_client", "The client is not registered for devices.")


def _unanswered() -> QuerySet[DeviceAuthorization]:
    return DeviceAuthorization.objects.filter(is_allowed=None, expires_at__gt=clock.now())


def _wait(device: DeviceAuthorization) -> NoReturn:
    """Raise the error that makes the device poll again later.

    Raises:
        OAuthError: ``authorization_pending``, or ``slow_down`` if the device polls too early.
    """
    now, mine = clock.now(), DeviceAuthorization.objects.filter(pk=device.pk)
    then = now + timedelta(seconds=device.interval)
    if mine.filter(next_poll_at__lte=now).update(next_poll_at=then):
        raise OAuthError("authorization_pending", "The person has not answered yet.")
    interval = min(device.interval + SLOWER, LONGEST_INTERVAL)
    mine.update(interval=interval, next_poll_at=now + timedelta(seconds=interval))
    raise OAuthError("slow_down", f"Wait {interval} seconds before you ask again.")


class AlreadyAnswered(Exception):
    """The request was already answered, for example in another tab."""


class ConsentMissing(Exception):
    """The user has disconnected the app, so the earlier consent no longer exists."""


def grant(
    asked: AuthorizationRequest, session: LoginSession, actor: Actor, *, agrees: bool = False
) -> str:
    """Grant the request ``asked``: return a new authorization code for the user of ``session``.

    If ``asked`` is the request of a device, return "", because the device redeems its device code.

    ``agrees``: whether the person has just agreed to the access that the app gets.

    Raises:
        AlreadyAnswered: the request was already answered, or the app has expired before anybody
            signed in to it.
        ConsentMissing: ``agrees`` is False, and the user has disconnected the app.
        AccountChanged: the account was locked or changed after it was read from the database.
    """
    try:
        return _grant(asked, session, actor, agrees=agrees)
    except ConsentMissing:
        if not asked.client.is_first_party:
            raise
    # This is a new transaction, because :func:`connections.agree` locks the user before the
    # connection. After :func:`connections.renew`, which locks the connection, it could deadlock
    # with a disconnection.
    return _grant(asked, session, actor, agrees=True)


@transaction.atomic
def _grant(
    asked: AuthorizationRequest, session: LoginSession, actor: Actor, *, agrees: bool
) -> str:
    # If two tabs answer at the same time, only one of them deletes the row.
    if not asked._state.adding and not close(asked):
        raise AlreadyAnswered
    if asked.device_id and not decide(asked, allows=True):
        raise AlreadyAnswered
    if agrees:
        if not registration.keep(asked.client):
            raise AlreadyAnswered
        connections.agree(asked, session.user, actor)
    elif not connections.renew(asked, session.user):
        raise ConsentMissing
    return codes.issue(asked, session)


@transaction.atomic
def refuse(asked: AuthorizationRequest) -> None:
    """Delete a stored request that the person has refused.

    If the request is from a device, also record the refusal, so that the device gets
    ``access_denied``.

    Raises:
        AlreadyAnswered: the request was already answered, for example in another tab.
    """
    if not close(asked) or (asked.device_id and not decide(asked, allows=False)):
        raise AlreadyAnswered


def close(asked: AuthorizationRequest) -> bool:
    """Delete the stored request ``asked``; return False if it was already answered and deleted."""
    return bool(AuthorizationRequest.objects.filter(pk=asked.pk).delete()[0])
