"""Recognizes the browsers in which a person has signed in before.

A sign-in sets a cookie with a random value. For each account, the database stores a digest of the
cookie together with the browser's family and operating system. The owner gets a mail about the
first sign-in in an unknown browser, and about the first sign-in of a known browser from a new
network.
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
# How many past credential versions are searched among the notes of the previous version.
VERSIONS = 50
# No user has this id. The query for an unknown account costs as much as for a known one.
NOBODY = uuid.UUID(int=0)


def find(client: ClientInfo, account: User | PendingSignup | None) -> KnownBrowser | None:
    """Return the browser at ``client``, or None if nobody signed in to ``account`` with it.

    Sign-ins before the last change of credentials count, too, so that guesses from elsewhere do not
    lock the owner out after a change. Makes at most one query, whether or not there is an account.
    """
    if not client.known:
        return None
    rows = KnownBrowser.objects.filter(
        user=account.pk if account else NOBODY, until__gt=clock.now()
    )
    return rows.filter(digest__in=_digests(client.known, client.device)).first()


def note_factor(client: ClientInfo, user: User) -> None:
    """Record that ``user`` showed a second factor, if the browser at ``client`` is known."""
    if client.known:
        rows = user.known_browsers.filter(digest__in=_digests(client.known, client.device))
        rows.filter(factor_at=None).update(factor_at=clock.now())


def meet(request: HttpRequest, user: User, *, has_factor: bool = False) -> bool:
    """Record a sign-in of ``user`` in this browser; return whether the browser was known.

    Only sign-ins since the last change of credentials count, because an earlier one may be a
    thief's. ``has_factor`` says whether the person showed a second factor.
    """
    token, client = _token(request), client_of(request)
    noted = _find(token, client.device, user) if token else None
    token = token or secrets.token()
    setattr(request, ATTRIBUTE, token)
    digest, now, version = _digests(token, client.device)[0], clock.now(), user.credential_version
    is_known = noted is not None and noted.version == version
    factor_at = (noted.factor_at if noted else None) or (now if has_factor else None)
    if noted is None or noted.pk is None or not is_known:
        # The mail about a new browser already names this network. The previous version of the site
        # stored no networks for its browsers.
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
        # Filter by the digest too, since :func:`renew` may have changed it meanwhile.
        KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest).update(
            digest=digest, version=version, until=now + known_networks.LIFE, factor_at=factor_at
        )
    return is_known


def meet_network(request: HttpRequest, user: User) -> bool:
    """Record a sign-in of ``user``; return whether it is the first from its network in 90 days."""
    network = client_of(request).network
    noted = known_networks.find(_networks(user), network)
    known_networks.remember(_networks(user), network, noted)
    return noted is None


def meet_client(client: ClientInfo, user: User) -> bool:
    """Record a sign-in of ``user`` with an API client; return whether the client was known.

    An API client has no cookie: its network and the name that it sends identify it.
    """
    what = f"client {client.network} {client.device} {user.credential_version}"
    noted = known_networks.find(user.pk, what)
    known_networks.remember(user.pk, what, noted)
    return noted is not None


def recognize(request: HttpRequest, user: User) -> KnownBrowser | None:
    """Return the browser of ``request`` if it is known to ``user``, else None.

    A browser without a sign-in for 90 days is unknown. ``since`` of the result is the first
    sign-in, even if credentials have changed since. The result is an unsaved row if only the
    previous version of the site stored the browser.
    """
    token = _token(request)
    return _find(token, client_of(request).device, user) if token else None


def renew(request: HttpRequest, user: User) -> None:
    """Replace the cookie of a browser that is known to ``user``.

    A copy of the previous cookie is unknown afterwards. Rows of other accounts keep the previous
    cookie. If they moved to the new one, a thief with a copy of another person's cookie could take
    over the age of that person's browser.
    """
    previous, device = _token(request), client_of(request).device
    noted = _find(previous, device, user) if previous else None
    if noted is None:
        return
    token = secrets.token()
    new = _digests(token, device)[0]
    is_first = known_networks.forget(user.pk, _previous_names(previous, device, user))
    if noted.pk:
        rows = KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest)
        is_first = bool(rows.update(digest=new))
    elif is_first:
        noted.digest = new
        noted.save()
    # If two copies of the browser ask at the same time, only one keeps its age.
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
    """Return the new or sent value of the cookie; an empty string if it is malformed."""
    return getattr(request, ATTRIBUTE, "") or client_of(request).known


def _digests(token: str, device: Device) -> list[str]:
    return secrets.digests(f"{token}\0{device.browser}\0{device.system}", PURPOSE)


def _networks(user: User) -> str:
    return f"network {user.pk}"


def _find(token: str, device: Device, user: User) -> KnownBrowser | None:
    """Return the row of a browser, which is unsaved if only the previous version stored it."""
    rows = user.known_browsers.filter(digest__in=_digests(token, device))
    row = rows.filter(until__gt=clock.now()).first()
    return row or _previous_row(token, device, user)


def _previous_row(token: str, device: Device, user: User) -> KnownBrowser | None:
    """Return what the previous version of the site stored, as an unsaved row.

    That version renewed its notes every month, so ``since`` is no earlier than the first sign-in.
    The last of these notes expires 90 days after the upgrade.
    """
    names = _previous_names(token, device, user)
    untils = known_networks.untils(user.pk, names)
    if not untils:
        return None
    return KnownBrowser(
        user=user,
        since=min(untils.values()) - known_networks.LIFE,
        version=max(names[name] for name in untils),
        until=max(untils.values()),
    )


def _previous_names(token: str, device: Device, user: User) -> dict[str, int]:
    """Return the names under which the previous version may have stored a browser.

    Each maps to its ``credential_version``. The names depend on the language of the sign-in.
    """
    names, latest = {}, user.credential_version
    for language, _name in settings.LANGUAGES:
        with speaking(language):
            for version in range(max(0, latest - VERSIONS), latest + 1):
                names[f"browser {token} {device} {version}"] = version
    return names
