"""Stores authorization requests until a person has answered them.

Only the browser that has opened a request can continue it. A cookie with a random value identifies
this browser. Without it, an attacker could make somebody else answer the attacker's request, or
answer a request that somebody else has begun.
"""

import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.deletion import delete_in_batches
from accounts.oauth import document_urls
from accounts.oauth.models import AuthorizationRequest, Client, UnreadRequest
from accounts.oauth.protocol import OAuthError
from accounts.oauth.redirect_uris import is_registered
from accounts.oauth.requests import LIFE
from accounts.sessions.models import LoginSession
from accounts.signin.hints import Hint
from accounts.throttle.limits import AUTHORIZE_CLIENT, AUTHORIZE_NETWORK, Budget
from accounts.throttle.services import around, spend

# How long a pushed request waits for the browser (RFC 9126 section 2.2).
PUSHED_LIFE = timedelta(seconds=90)
URN = "urn:ietf:params:oauth:request_uri:"
# In characters. The longest ``state`` takes up to three quarters of them.
LONGEST_QUERY = 32 * 1024
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
# Keeps these digests apart from others that ``secrets.digest`` makes.
_PURPOSE = "authorize"


def browser_of(request: HttpRequest) -> str:
    """Return the cookie value of the browser, or an empty string if it has none."""
    value = request.COOKIES.get(settings.AUTHORIZE_COOKIE_NAME, "")
    return value if _COOKIE.fullmatch(value) else ""


def set_browser(response: HttpResponse, browser: str) -> None:
    """Send the cookie value ``browser``, which lasts as long as a request.

    Several tabs of a browser share the value, so that each can continue its own request.
    """
    response.set_cookie(
        settings.AUTHORIZE_COOKIE_NAME,
        browser,
        max_age=LIFE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def push(asked: AuthorizationRequest, *budgets: Budget) -> str:
    """Store ``asked``, which no browser has opened yet; return its ``request_uri``.

    ``budgets``: the budgets that the request spends.

    Raises:
        RateLimited: too many requests were stored.
    """
    spend(*budgets)
    asked.expires_at = clock.now() + PUSHED_LIFE
    asked.save(force_insert=True)
    return URN + asked.pk


def budgets_of(client: Client, request: HttpRequest) -> list[Budget]:
    """Return the budgets for a ``request`` that ``client`` sends itself, not through a browser.

    Anybody can send the requests of a public app, so the limit counts by the network of the sender.

    Raises:
        OAuthError: a page in a browser sends the request. No page can read the answer, but one of
            another site could use up the limits of a person's network.
    """
    # Browsers add this header (Fetch Metadata), and no script can remove it.
    if "Sec-Fetch-Site" in request.headers:
        raise OAuthError("invalid_request", "Send the request from the app, not from a page.")
    if client.is_public:
        return around(AUTHORIZE_NETWORK, client_of(request))
    return [AUTHORIZE_CLIENT.of(client.pk)]


def store(asked: AuthorizationRequest, browser: str, client: ClientInfo) -> None:
    """Store ``asked``, which only the browser with the cookie value ``browser`` may continue.

    Raises:
        RateLimited: the network of ``client`` has stored too many. A stranger could otherwise fill
            the disk.
    """
    spend(*around(AUTHORIZE_NETWORK, client))
    asked.browser = secrets.digest(browser, _PURPOSE)
    asked.save(force_insert=True)


def spend_opening(client: Client, request_uri: str, info: ClientInfo) -> list[Budget]:
    """Count a browser's opening of a pushed request against its network; return the budgets.

    Nothing is counted if the request is open already, or if ``client`` is public, because it
    counted when the request was pushed. The answer to a request gives one count back: an app
    could otherwise refill the budget of its network.

    ``info``: the client info of the browser.

    Raises:
        RateLimited: see :func:`store`.
    """
    if client.is_public or not _unopened(client, request_uri).exists():
        return []
    budgets = around(AUTHORIZE_NETWORK, info)
    spend(*budgets)
    return budgets


def open_pushed(client: Client, request_uri: str, browser: str) -> AuthorizationRequest:
    """Return the pushed request of ``client``, and bind it to the browser that opens it first.

    That browser may open it again, because people reload pages (RFC 9126 section 4).

    Raises:
        OAuthError: the request is unknown, too old, of another app, or open in another browser.
    """
    digest, until = secrets.digest(browser, _PURPOSE), clock.now() + LIFE
    _unopened(client, request_uri).update(browser=digest, expires_at=until)
    if request_uri.startswith(URN):
        asked = find(request_uri.removeprefix(URN), browser)
        if asked and asked.client == client:
            return asked
    raise OAuthError("invalid_request_uri", "The request_uri is unknown, used, or too old.")


def _unopened(client: Client, request_uri: str) -> QuerySet[AuthorizationRequest]:
    """Return the row of the pushed request of ``client`` if no browser has opened it."""
    rows = AuthorizationRequest.objects.filter(client=client, browser="")
    if not (request_uri.startswith(URN) and request_uri.isprintable()):
        return rows.none()
    return rows.filter(pk=request_uri.removeprefix(URN), expires_at__gt=clock.now())


def find(key: str, browser: str) -> AuthorizationRequest | None:
    """Return the request ``key`` if the browser with the cookie value ``browser`` opened it.

    Return None if another browser opened the request, if the request is unknown or has expired, or
    if the app no longer has the redirect URI, which somebody else may control now.
    """
    asked = _mine(AuthorizationRequest.objects.select_related("client"), key, browser)
    if asked is None or asked.device_id:
        return asked
    return asked if is_registered(asked.client.redirect_uris, asked.redirect_uri) else None


def choose(asked: AuthorizationRequest, session: LoginSession) -> None:
    """Record that the user of ``session`` continues ``asked`` with that account.

    If the request was answered meanwhile, do nothing.
    """
    AuthorizationRequest.objects.filter(pk=asked.pk).update(chosen=session.pk)


def store_unread(given: dict[str, str], browser: str, client: ClientInfo) -> UnreadRequest:
    """Store the parameters ``given`` of a request, as :func:`store` does for a checked request.

    Raises:
        OAuthError: the parameters are too long in total. A stranger could otherwise fill the disk.
        RateLimited: see :func:`store`.
    """
    query = urlencode(given)
    if len(query) > LONGEST_QUERY:
        raise OAuthError("invalid_request", "The request is too long.")
    spend(*around(AUTHORIZE_NETWORK, client))
    return UnreadRequest.objects.create(
        browser=secrets.digest(browser, _PURPOSE),
        query=query,
        expires_at=clock.now() + LIFE,
    )


def find_unread(key: str, browser: str) -> UnreadRequest | None:
    """Return the unread request ``key`` as :func:`find` does."""
    return _mine(UnreadRequest.objects.all(), key, browser)


def hint_of(request: HttpRequest, next_url: str) -> Hint | None:
    """Return the hint of the stored request that continues at ``next_url``, or None."""
    start = reverse("proceed", args=["x"]).removesuffix("x")
    if not next_url.startswith(start):
        return None
    key, browser = next_url.removeprefix(start), browser_of(request)
    if asked := find(key, browser):
        return Hint(asked.client.label, asked.login_hint)
    if unread := find_unread(key, browser):
        given = dict(parse_qsl(unread.query))
        return Hint(document_urls.host_of(given["client_id"]), given.get("login_hint", "")[:254])
    return None


def prune() -> int:
    """Delete the requests that have expired; return how many were deleted."""
    past = {"expires_at__lte": clock.now()}
    count = delete_in_batches(AuthorizationRequest.objects.filter(**past))
    return count + delete_in_batches(UnreadRequest.objects.filter(**past))


def _mine[R: (AuthorizationRequest, UnreadRequest)](
    rows: QuerySet[R], key: str, browser: str
) -> R | None:
    if not (key.isprintable() and browser):
        return None
    mine = rows.filter(pk=key, browser__in=secrets.digests(browser, _PURPOSE))
    return mine.filter(expires_at__gt=clock.now()).first()
