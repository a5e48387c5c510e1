"""Browsers that a person has signed in with, and since when.

A browser is known by a random cookie that an earlier sign-in left there, for that account and that
family and system: two people's browsers of one kind are two browsers. The table keeps a digest.
The owner hears of the first sign-in of any other, and of a known one's first from a new network.
"""

import re
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.kernel import clock, secrets
from accounts.kernel.languages import speaking
from accounts.kernel.places import Device, Place, place_of
from accounts.sessions.models import KnownBrowser
from accounts.throttle import familiar
from accounts.users.models import User

ATTRIBUTE = "_known_browser"
PURPOSE = "known browser"
TOKEN = re.compile(r"[\w-]{43}", re.ASCII)


def meet(request: HttpRequest, user: User) -> bool:
    """Whether ``user`` has signed in with this browser before; it's known from now on.

    After a change of credentials nothing is known: it may be the thief's that was.
    """
    token, place = _token(request), place_of(request)
    noted = _find(token, place.device, user) if token else None
    token = token or secrets.token()
    setattr(request, ATTRIBUTE, token)
    digest, now, version = _digests(token, place.device)[0], clock.now(), user.credential_version
    is_known = noted is not None and noted.version == version
    if noted is None or noted.pk is None or not is_known:
        # There is a mail of a new browser already. Of one that the version before has noted,
        # nobody knows the networks.
        familiar.remember(_networks(user), place.network, None)
    if noted is None or noted.pk is None:
        row = KnownBrowser(user=user, digest=digest, version=version, until=now + familiar.LIFE)
        row.since = noted.since if noted else now
        KnownBrowser.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["user", "digest"],
            update_fields=["since", "version", "until"],
        )
    elif not is_known or noted.digest != digest or noted.until < now + familiar.RENEW:
        # By its digest, too: :func:`renew` may have given it another meanwhile.
        KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest).update(
            digest=digest, version=version, until=now + familiar.LIFE
        )
    return is_known


def meet_network(request: HttpRequest, user: User) -> bool:
    """Whether ``user`` signs in from this network for the first time in 90 days."""
    network = place_of(request).network
    noted = familiar.find(_networks(user), network)
    familiar.remember(_networks(user), network, noted)
    return noted is None


def meet_client(place: Place, user: User) -> bool:
    """As :func:`meet`, of a client of the API, which keeps no cookie: by its network and name."""
    what = f"client {place.network} {place.device} {user.credential_version}"
    noted = familiar.find(user.pk, what)
    familiar.remember(user.pk, what, noted)
    return noted is not None


def since(request: HttpRequest, user: User) -> datetime | None:
    """Return when ``user`` first signed in with this browser, whatever has changed since.

    None if that never happened, or if the last time is 90 days ago. Nothing is written.
    """
    token = _token(request)
    noted = _find(token, place_of(request).device, user) if token else None
    return noted.since if noted else None


def renew(request: HttpRequest, user: User) -> None:
    """Give this browser another cookie, if it's known; a copy of the former is a stranger's.

    What others have signed in with the former is left as it is: whoever has copied their cookie
    would take their browser from them by it.
    """
    former, device = _token(request), place_of(request).device
    noted = _find(former, device, user) if former else None
    if noted is None:
        return
    token = secrets.token()
    new = _digests(token, device)[0]
    is_first = familiar.forget(user.pk, _names_before(former, device, user))
    if noted.pk:
        rows = KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest)
        is_first = bool(rows.update(digest=new))
    elif is_first:
        noted.digest = new
        noted.save()
    # Of many copies one gets it.
    if is_first:
        setattr(request, ATTRIBUTE, token)


def prune() -> int:
    """Forget those that weren't used for 90 days; how many."""
    return KnownBrowser.objects.filter(until__lte=clock.now()).delete()[0]


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Leave the cookie, if this request has signed somebody in, or renewed it."""
    if token := getattr(request, ATTRIBUTE, ""):
        response.set_cookie(
            settings.KNOWN_COOKIE_NAME,
            token,
            max_age=familiar.LIFE,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def _token(request: HttpRequest) -> str:
    """What the cookie holds, or will hold after this request; empty if it's none of ours."""
    token: str = getattr(request, ATTRIBUTE, "") or request.COOKIES.get(
        settings.KNOWN_COOKIE_NAME, ""
    )
    return token if TOKEN.fullmatch(token) else ""


def _digests(token: str, device: Device) -> list[str]:
    return secrets.digests(f"{token}\0{device.browser}\0{device.system}", PURPOSE)


def _networks(user: User) -> str:
    return f"network {user.pk}"


def _find(token: str, device: Device, user: User) -> KnownBrowser | None:
    """What is known of a browser; a row that isn't stored yet where the version before noted it."""
    rows = user.known_browsers.filter(digest__in=_digests(token, device))
    row = rows.filter(until__gt=clock.now()).first()
    return row or _noted_before(token, device, user)


def _noted_before(token: str, device: Device, user: User) -> KnownBrowser | None:
    """What the version before has noted: none of it is left 90 days after the upgrade.

    Its age is a lower bound, since a note that is a month old was renewed.
    """
    names = _names_before(token, device, user)
    untils = familiar.untils(user.pk, names)
    if not untils:
        return None
    return KnownBrowser(
        user=user,
        since=min(untils.values()) - familiar.LIFE,
        version=max(names[name] for name in untils),
        until=max(untils.values()),
    )


def _names_before(token: str, device: Device, user: User) -> dict[str, int]:
    """What it may have noted a browser as, in the language of that sign-in; of which version."""
    names = {}
    for language, _name in settings.LANGUAGES:
        with speaking(language):
            for version in range(user.credential_version + 1):
                names[f"browser {token} {device} {version}"] = version
    return names
