"""Recognizes the browsers in which a person has signed in, and since when.

A sign-in leaves a random cookie. The table keeps, for each account, a digest of the cookie and of
the browser's family and system. The owner gets a mail of the first sign-in in an unknown browser,
and of the first sign-in of a known browser from a new network.
"""

import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo, Device, client_of
from accounts.common.languages import speaking
from accounts.sessions.models import KnownBrowser
from accounts.throttle import known_networks
from accounts.users.models import PendingSignup, User

ATTRIBUTE = "_known_browser"
PURPOSE = "known browser"
# How many former credential versions are looked for among the notes of the version before.
VERSIONS = 50
# The id of no user: looking up the browsers of nobody costs a query, as for somebody.
NOBODY = uuid.UUID(int=0)


def find(client: ClientInfo, account: User | PendingSignup | None) -> KnownBrowser | None:
    """Return the browser at ``client`` if ``account`` was signed in to with it.

    Sign-ins before the last change of credentials count, too: guesses elsewhere must not keep the
    owner out after a change. Makes at most one query, whether or not there is an account.
    """
    if not client.known:
        return None
    rows = KnownBrowser.objects.filter(
        user=account.pk if account else NOBODY, until__gt=clock.now()
    )
    return rows.filter(digest__in=_digests(client.known, client.device)).first()


def note_factor(client: ClientInfo, user: User) -> None:
    """Note that ``user`` has shown a second factor in the browser at ``client``, if it is known."""
    if client.known:
        rows = user.known_browsers.filter(digest__in=_digests(client.known, client.device))
        rows.filter(factor_at=None).update(factor_at=clock.now())


def meet(request: HttpRequest, user: User, *, has_factor: bool = False) -> bool:
    """Return whether ``user`` has signed in with this browser before; make it known.

    Only sign-ins since the last change of credentials count: an earlier one may be a thief's.
    ``has_factor`` says whether a second factor was shown.
    """
    token, client = _token(request), client_of(request)
    noted = _find(token, client.device, user) if token else None
    token = token or secrets.token()
    setattr(request, ATTRIBUTE, token)
    digest, now, version = _digests(token, client.device)[0], clock.now(), user.credential_version
    is_known = noted is not None and noted.version == version
    factor_at = (noted.factor_at if noted else None) or (now if has_factor else None)
    if noted is None or noted.pk is None or not is_known:
        # The mail of a new browser names this network already. For a browser that the previous
        # version of the site noted, no networks are stored.
        known_networks.remember(_networks(user), client.network, None)
    if noted is None or noted.pk is None:
        row = KnownBrowser(
            user=user, digest=digest, version=version, until=now + known_networks.LIFE
        )
        row.since, row.factor_at = (noted.since if noted else now), factor_at
        KnownBrowser.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["user", "digest"],
            update_fields=["since", "version", "until", "factor_at"],
        )
    elif (
        not is_known
        or noted.digest != digest
        or noted.until < now + known_networks.RENEW
        or noted.factor_at != factor_at
    ):
        # Filtered by the digest too: :func:`renew` may have changed it meanwhile.
        KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest).update(
            digest=digest, version=version, until=now + known_networks.LIFE, factor_at=factor_at
        )
    return is_known


def meet_network(request: HttpRequest, user: User) -> bool:
    """Return whether ``user`` signs in from this network for the first time in 90 days."""
    network = client_of(request).network
    noted = known_networks.find(_networks(user), network)
    known_networks.remember(_networks(user), network, noted)
    return noted is None


def meet_client(client: ClientInfo, user: User) -> bool:
    """As :func:`meet`, for a client of the API: it has no cookie, so network and name count."""
    what = f"client {client.network} {client.device} {user.credential_version}"
    noted = known_networks.find(user.pk, what)
    known_networks.remember(user.pk, what, noted)
    return noted is not None


def recognize(request: HttpRequest, user: User) -> KnownBrowser | None:
    """Return this browser's row for ``user``; None if unknown, or without a sign-in for 90 days.

    Its ``since`` is the first sign-in, also before changes of credentials. The row is not saved if
    only the previous version of the site noted the browser.
    """
    token = _token(request)
    return _find(token, client_of(request).device, user) if token else None


def renew(request: HttpRequest, user: User) -> None:
    """Give this browser a new cookie if it is known to ``user``; a copied cookie is then unknown.

    Rows of other accounts with the former cookie stay. Otherwise a thief who has copied another
    person's cookie could take over the age of that person's browser.
    """
    former, device = _token(request), client_of(request).device
    noted = _find(former, device, user) if former else None
    if noted is None:
        return
    token = secrets.token()
    new = _digests(token, device)[0]
    is_first = known_networks.forget(user.pk, _names_before(former, device, user))
    if noted.pk:
        rows = KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest)
        is_first = bool(rows.update(digest=new))
    elif is_first:
        noted.digest = new
        noted.save()
    # If two copies of the browser ask at once, only one keeps its age.
    if is_first:
        setattr(request, ATTRIBUTE, token)


def prune() -> int:
    """Delete browsers without a sign-in for 90 days; return how many."""
    return KnownBrowser.objects.filter(until__lte=clock.now()).delete()[0]


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie if this request has called :func:`meet` or :func:`renew`."""
    if token := getattr(request, ATTRIBUTE, ""):
        response.set_cookie(
            settings.KNOWN_COOKIE_NAME,
            token,
            max_age=known_networks.LIFE,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def _token(request: HttpRequest) -> str:
    """Return the value of the cookie, new or sent; an empty string if it has not our form."""
    return getattr(request, ATTRIBUTE, "") or client_of(request).known


def _digests(token: str, device: Device) -> list[str]:
    return secrets.digests(f"{token}\0{device.browser}\0{device.system}", PURPOSE)


def _networks(user: User) -> str:
    return f"network {user.pk}"


def _find(token: str, device: Device, user: User) -> KnownBrowser | None:
    """Return the row of a browser; an unsaved one if only the previous version noted it."""
    rows = user.known_browsers.filter(digest__in=_digests(token, device))
    row = rows.filter(until__gt=clock.now()).first()
    return row or _noted_before(token, device, user)


def _noted_before(token: str, device: Device, user: User) -> KnownBrowser | None:
    """Return what the previous version of the site noted, as an unsaved row.

    That version renewed its notes every month, so ``since`` is no earlier than the first sign-in.
    None of its notes is left 90 days after the upgrade.
    """
    names = _names_before(token, device, user)
    untils = known_networks.untils(user.pk, names)
    if not untils:
        return None
    return KnownBrowser(
        user=user,
        since=min(untils.values()) - known_networks.LIFE,
        version=max(names[name] for name in untils),
        until=max(untils.values()),
    )


def _names_before(token: str, device: Device, user: User) -> dict[str, int]:
    """Return the names by which the previous version may have noted a browser.

    Each maps to its ``credential_version``. They depend on the language of that sign-in.
    """
    names, latest = {}, user.credential_version
    for language, _name in settings.LANGUAGES:
        with speaking(language):
            for version in range(max(0, latest - VERSIONS), latest + 1):
                names[f"browser {token} {device} {version}"] = version
    return names
