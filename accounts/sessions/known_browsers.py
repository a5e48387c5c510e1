"""Recognizes the browsers in which a user has signed in before.

A sign-in sets a cookie with a random value. For each user, the database stores a digest of the
cookie, the browser family and the operating system. The account owner is notified by email when
somebody signs in from an unknown browser, or from a known browser in a new network. A browser
becomes unknown when access to the account ends, such as by a lock.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.common import clock, pages, secrets
from accounts.common.client_info import ClientInfo, Device, client_of
from accounts.common.database import P, PreparedQuery, delete_in_batches
from accounts.sessions.models import KnownBrowser
from accounts.throttle import services as throttle
from accounts.users.models import PendingSignup, User

ATTRIBUTE = "_known_browser"
PURPOSE = "known browser"
# The attribute of a request that stores the result of :func:`find_browser`.
MEMO = "_known_browser"
# No user has this id, which makes the query for an unknown account as expensive as for a known one.
NOBODY = uuid.UUID(int=0)
# The maximum number of browsers on the page.
MOST_LISTED = 50
# A sign-in is recorded only if the last recorded one is older than this.
RECORD_AGAIN = timedelta(hours=1)


_OF = PreparedQuery(lambda: KnownBrowser.objects.filter(user=P("user"), until__gt=P("now")))


def of(user: User) -> list[KnownBrowser]:
    """Return the browsers in which ``user`` has signed in, also those that a lock made unknown."""
    return _OF.all(user=user.pk, now=clock.now())


def known(user: User) -> QuerySet[KnownBrowser]:
    """Return the browsers that are known to ``user``, most recently used first.

    A sign-in of ``user`` in one of them causes no email about a new browser.
    """
    return _known(user, user.credential_version, clock.now())


def _known(user: User | P, version: int | P, now: datetime | P) -> QuerySet[KnownBrowser]:
    rows = KnownBrowser.objects.filter(user=user, version=version, until__gt=now)
    return rows.order_by("-until")


_LISTED = PreparedQuery(lambda: _known(P("user"), P("version"), P("now"))[:MOST_LISTED])


def listed(request: HttpRequest, user: User) -> list[KnownBrowser]:
    """Return the known browsers that the page of sessions lists."""
    here = _digests(_token(request), client_of(request).device)
    rows = _LISTED.all(user=user.pk, version=user.credential_version, now=clock.now())
    for row in rows:
        row.is_here = row.digest in here
    return rows


@transaction.atomic
def forget(user: User, row_id: int, actor: Actor) -> bool:
    """Make a browser unknown to ``user``; return whether it was known.

    The next sign-in in it causes an email. The row stays, with its own rate limits, as after a
    lock. Otherwise, a thief with a stolen session could make the owner's browsers unknown, and then
    keep the owner out by wrong guesses.
    """
    row = known(user).filter(pk=row_id).first()
    if row is None or not known(user).filter(pk=row_id).update(version=None):
        return False
    record(user, events.BROWSER_FORGOTTEN, actor, detail=str(row))
    return True


def find_browser(client: ClientInfo, account: User | PendingSignup | None) -> KnownBrowser | None:
    """Return the browser of ``client`` if somebody has signed in to ``account`` with it, else None.

    This includes browsers that a lock has made unknown, which keep their own rate limits. Without
    these, guesses in other browsers could keep the owner out after a lock.

    The same query is made whether or not there is an account.
    """
    found = _find_by_cookie(client.known_cookie, client.device, account.pk if account else NOBODY)
    if account and found:
        vars(account)[MEMO] = found
    return found


def is_known(client: ClientInfo) -> bool:
    """Return whether somebody has signed in, to any account, in the browser of ``client``."""
    digests = _digests(client.known_cookie, client.device)
    rows = KnownBrowser.objects.filter(digest__in=digests, until__gt=clock.now())
    return client.known_cookie != "" and rows.exists()


def note_factor(client: ClientInfo, user: User) -> None:
    """Record that ``user`` showed a second factor, if the browser of ``client`` is known."""
    if client.known_cookie:
        rows = user.known_browsers.filter(digest__in=_digests(client.known_cookie, client.device))
        rows.filter(factor_at=None).update(factor_at=clock.now())


def note_sign_in(request: HttpRequest, user: User, *, has_factor: bool = False) -> bool:
    """Record a sign-in of ``user``; return whether the browser of ``request`` was known.

    ``has_factor``: whether the user showed a second factor.
    """
    token, client, now = _token(request), client_of(request), clock.now()
    noted = vars(user).pop(MEMO, None) or _find_by_cookie(token, client.device, user.pk)
    row = noted or KnownBrowser(user=user)
    token = token or secrets.token()
    setattr(request, ATTRIBUTE, token)
    fields = {
        "digest": _digests(token, client.device)[0],
        "since": now if row.version is None else row.since,
        "version": user.credential_version,
        "until": now + KnownBrowser.LIFE,
        "factor_at": row.factor_at or (now if has_factor else None),
        "browser": client.device.browser,
        "system": client.device.system,
    }
    is_known = row.version == user.credential_version
    if not is_known:
        # The email about a new browser already names this network, so no other email about the
        # network is needed.
        throttle.remember(user.pk, _networks(user), client.network, None)
    if noted is None:
        KnownBrowser.objects.bulk_create(
            [KnownBrowser(user=user, **fields)],
            update_conflicts=True,
            unique_fields=["user", "digest"],
            update_fields=fields.keys() - {"digest"},
        )
    elif row.used_at < now - RECORD_AGAIN or any(
        getattr(row, name) != fields[name] for name in ("digest", "version", "factor_at")
    ):
        # Filter by the digest, too: :func:`renew` may have changed the digest in the meantime.
        KnownBrowser.objects.filter(pk=row.pk, digest=row.digest).update(**fields)
    return is_known


def keep(user: User) -> None:
    """Keep the browsers that are known to ``user`` known after a change of credentials.

    Call this after :func:`accounts.users.services.void_proofs_and_links`.
    """
    # A browser with an older version was made unknown by an earlier change.
    rows = user.known_browsers.filter(version=F("user__credential_version") - 1)
    rows.update(version=F("version") + 1)


def note_network(request: HttpRequest, user: User) -> bool:
    """Record the network of a sign-in of ``user``; return whether the network is new.

    A network becomes new again after 60 to 90 days without a sign-in.
    """
    network = client_of(request).network
    noted = throttle.find_record(_networks(user), network)
    throttle.remember(user.pk, _networks(user), network, noted)
    return noted is None


def note_client(client: ClientInfo, user: User) -> Event:
    """Record a sign-in of ``user`` with an API client; return the event that describes it.

    An API client has no cookie, so it is identified by its network and the name that it sends.
    """
    what = _client_of(client, user)
    noted = throttle.find_record(user.pk, what)
    throttle.remember(user.pk, user.pk, what, noted)
    return events.CLIENT_SIGNED_IN if noted else events.CLIENT_SIGNED_IN_NEW


def is_known_client(client: ClientInfo, user: User | None) -> bool:
    """Return whether ``user`` has signed in with this API client: see :func:`note_client`.

    The same query is made whether or not there is a user.
    """
    return throttle.find_record(user.pk if user else NOBODY, _client_of(client, user)) is not None


def recognize(request: HttpRequest, user: User) -> KnownBrowser | None:
    """Return the browser of ``request`` if it is known to ``user``, else None.

    A browser without a sign-in for 90 days is unknown. The attribute ``since`` is the time of the
    first sign-in, even if the account has been locked since then.
    """
    return _find_by_cookie(_token(request), client_of(request).device, user.pk)


def renew(request: HttpRequest, user: User) -> None:
    """Replace the cookie by which ``user`` knows the browser of ``request``.

    Do nothing if the browser is not known to ``user``. Afterwards, a browser with a copy of the
    previous cookie is no longer known to ``user``.

    Other users who know the browser by the previous cookie do not know it by the new one.
    Otherwise, a thief who has copied the cookie could sign in to the thief's own account, and get a
    new cookie by which the victim's account knows the thief's browser.
    """
    device = client_of(request).device
    noted = _find_by_cookie(_token(request), device, user.pk)
    if noted is None:
        return
    token = secrets.token()
    rows = KnownBrowser.objects.filter(pk=noted.pk, digest=noted.digest)
    # If two copies of the cookie are renewed at the same time, only one of them stays valid.
    if rows.update(digest=_digests(token, device)[0]):
        setattr(request, ATTRIBUTE, token)


def prune() -> int:
    """Delete known browsers that have expired; return how many were deleted."""
    return delete_in_batches(KnownBrowser.objects.filter(until__lte=clock.now()))


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the known-browser cookie if :func:`note_sign_in` or :func:`renew` has changed it."""
    if token := getattr(request, ATTRIBUTE, ""):
        pages.set_cookie(response, settings.KNOWN_COOKIE_NAME, token, KnownBrowser.LIFE)


def _token(request: HttpRequest) -> str:
    """Return the value of the known-browser cookie, or an empty string if there is none.

    A new value of this request takes precedence over the value that the browser has sent. A
    malformed value is ignored.
    """
    return getattr(request, ATTRIBUTE, "") or client_of(request).known_cookie


def _digests(token: str, device: Device) -> list[str]:
    return secrets.digests(f"{token}\0{device.browser}\0{device.system}", PURPOSE)


def _client_of(client: ClientInfo, user: User | None) -> str:
    version = user.credential_version if user else 0
    return f"client {client.network} {client.device} {version}"


def _networks(user: User) -> str:
    return f"network {user.pk}"


def _find_by_cookie(token: str, device: Device, user_id: uuid.UUID) -> KnownBrowser | None:
    if not token:
        return None
    rows = KnownBrowser.objects.filter(user=user_id, until__gt=clock.now())
    return rows.filter(digest__in=_digests(token, device)).first()
