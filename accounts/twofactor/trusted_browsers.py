"""Trusted browsers, in which the second step is skipped for some days.

The cookie contains 256 random bits. The table contains their digest and the ``credential_version``
of the user. A change of credentials, such as a lock or a reset, changes that version and so ends
the trust in all browsers.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock, secrets
from accounts.common.client_info import client_of
from accounts.common.database import P, PreparedQuery
from accounts.common.pages import set_cookie
from accounts.sessions.current import actor_of
from accounts.twofactor.models import TrustedBrowser
from accounts.users.models import User

PURPOSE = "trusted browser"
# Several users may trust the same browser. The cookie contains their tokens, newest first.
MOST_TOKENS = 4
LONGEST_COOKIE = 400


def is_trusted(request: HttpRequest, user: User) -> bool:
    """Return whether the browser of ``request`` is trusted for ``user``; record its use if so."""
    return bool(here(request, user).update(used_at=clock.now()))


def here(request: HttpRequest, user: User) -> QuerySet[TrustedBrowser]:
    """Return the trusted browsers of ``user`` that the cookie of ``request`` identifies."""
    digests = [d for token in _tokens(request) for d in secrets.digests(token, PURPOSE)]
    if not digests:
        return TrustedBrowser.objects.none()
    device = client_of(request).device
    # A stolen cookie is refused in another kind of browser.
    rows = _rows(**_values(user))
    return rows.filter(digest__in=digests, browser=device.browser, system=device.system)


def _tokens(request: HttpRequest) -> list[str]:
    """Return the tokens in the cookie, one for each user who trusts this browser."""
    cookie = request.COOKIES.get(settings.TRUSTED_COOKIE_NAME, "")
    return cookie.split(".")[:MOST_TOKENS] if 0 < len(cookie) <= LONGEST_COOKIE else []


def trust(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Trust the browser of ``request`` for ``user``, and set the cookie on ``response``.

    Does nothing if ``TRUSTED_BROWSER_DAYS`` is 0.
    """
    days = settings.AUTHSITE.trusted_browser_days
    if not days:
        return
    token, device = secrets.token(), client_of(request).device
    with transaction.atomic():
        TrustedBrowser.objects.create(
            user=user,
            digest=secrets.digest(token, PURPOSE),
            version=user.credential_version,
            browser=device.browser,
            system=device.system,
            ends_at=clock.now() + timedelta(days=days),
        )
        record(user, events.BROWSER_TRUSTED, actor_of(request), detail=str(device))
    value = ".".join([token, *_tokens(request)][:MOST_TOKENS])
    set_cookie(response, settings.TRUSTED_COOKIE_NAME, value, timedelta(days=days))


def of(user: User) -> list[TrustedBrowser]:
    """Return the browsers that are trusted for ``user``, most recently used first."""
    return _OF.all(**_values(user))


def _rows(*, user: Any, version: Any, now: Any, since: Any) -> QuerySet[TrustedBrowser]:
    rows = TrustedBrowser.objects.filter(user=user, version=version, ends_at__gt=now)
    return rows.filter(made_at__gt=since).order_by("-used_at")


def _values(user: User) -> dict[str, Any]:
    # The setting may have been reduced since the browsers became trusted.
    now, days = clock.now(), timedelta(days=settings.AUTHSITE.trusted_browser_days)
    return {"user": user.pk, "version": user.credential_version, "now": now, "since": now - days}


_OF = PreparedQuery(
    lambda: _rows(user=P("user"), version=P("version"), now=P("now"), since=P("since"))
)


@transaction.atomic
def end(user: User, actor: Actor, browser_id: int | None = None) -> int:
    """End the trust in the browser ``browser_id``, or in all browsers of ``user`` if it is None.

    Returns the number of browsers that were trusted.
    """
    rows = [row for row in of(user) if browser_id in {None, row.pk}]
    ended = [str(row.device) for row in rows]
    TrustedBrowser.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for device in ended:
        record(user, events.TRUST_ENDED, actor, detail=device)
    return len(ended)


def prune() -> int:
    """Delete trusted browsers that have expired; return how many were deleted."""
    return TrustedBrowser.objects.filter(ends_at__lte=clock.now()).delete()[0]
