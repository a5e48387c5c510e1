"""Forward authentication: a proxy asks this site whether to pass a request to an app.

This protects apps that do not support OpenID Connect, behind nginx, Caddy or Traefik. The proxy
asks :func:`check` about each request, and passes ``/auth/forward/callback`` on the host of the app
to this site.

Each such host is a first-party app of the OpenID Provider. Its client ID is the host, and
:func:`callback` signs people in to it in the same way as any app. Therefore it can have a required
group, a second factor and scopes, its sessions end with the session of the browser, and no cookie
of this site is sent to another host.

During a sign-in, the cookie of the host contains the PKCE verifier, and afterwards the id of the
session with a tag. Therefore a code is useless in any browser except the one that has begun the
sign-in (login CSRF, RFC 9700 section 4.7).
"""

import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo, client_of, parse_ip, trusts
from accounts.common.database import P, PreparedQuery, Row
from accounts.common.pages import absolute
from accounts.oauth import codes, decisions, id_tokens
from accounts.oauth.clients import services as clients
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.protocol import OAuthError, answers
from accounts.oauth.views import redirect_to_app, with_query
from accounts.sessions import services as sessions
from accounts.sessions.current import accepts
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens.signatures import LONGEST_WITH_GROUPS
from accounts.users.services import OwnedQuery

COOKIE = settings.FORWARD_COOKIE_NAME
# The headers of a response that describe the user or the request.
HEADERS = (
    *("Remote-Id", "Remote-User", "Remote-Email", "Remote-Groups", "Remote-Token"),
    "Cookie",
)
# The key in ``META`` under which ``ClientMiddleware`` stores the IP address of the peer.
PEER = "authsite.peer"
# In characters. The path is sent at the beginning and at the end of the sign-in, and proxies accept
# headers of 8 KiB.
LONGEST_PATH = 2048
# A page of an app makes dozens of requests at once. Only the first one waits for the database.
REPEAT_SECONDS = 0.5
# Responses for unchanged rows contain the same ID token for this time. Each token is valid for at
# least 30 s.
TOKEN_SECONDS = 10
# The number of cached decisions. Each takes about 4 KB.
MOST_DECISIONS = 2048

_SCOPES = ("openid", *id_tokens.BY_SCOPE)
_VERIFIER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
# Without the comma, which separates groups, and the percent sign, which begins an encoded
# character.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "%,")
_PURPOSE = "forward"
# The length of the id of a session in hexadecimal digits.
_ID = 32

_PARENT = LoginSession.objects.filter(is_live(P("now")), pk=OuterRef("app_session__parent"))
_HELD = OwnedQuery(
    lambda: LoginSession.objects.filter(
        is_live(P("now")), Exists(_PARENT), pk=P("session"), app_session__client=P("host")
    ),
    related="app_session",
)
_HOST = PreparedQuery(lambda: Client.objects.filter(pk=P("host"), disabled_at=None))


def headers_for(
    meta: Mapping[str, Any], info: ClientInfo, *, may_repeat: bool = False
) -> dict[str, str] | None:
    """Return the headers to add to a request to an app, or None if the request must not pass.

    ``Cookie`` is the request's own header without the cookie of this module, which the app must not
    see. Headers without a value are present and empty, because Caddy would replace a missing header
    with its name.

    ``meta``: the WSGI environment, or Django's ``META``, of the request of a proxy.
    ``info``: the client of the request about which the proxy asks.
    ``may_repeat``: whether a decision that this process made in the last ``REPEAT_SECONDS`` may be
        reused.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    cookie, others = _cookies(meta)
    host, session_id = host_of(meta), _session_of(cookie)
    if not host or session_id is None:
        return None
    if may_repeat:
        # The monotonic clock never goes back, so an earlier decision is never reused later.
        headers = _repeated(host, session_id, info, int(monotonic() / REPEAT_SECONDS))
    else:
        headers = _current(host, session_id, info)
    return None if headers is None else headers | {"Cookie": others}


@lru_cache(MOST_DECISIONS)
def _repeated(host: str, session_id: UUID, info: ClientInfo, _time: int) -> dict[str, str] | None:
    return _current(host, session_id, info)


def _current(host: str, session_id: UUID, info: ClientInfo) -> dict[str, str] | None:
    now = clock.now()
    rows, of_host = _HELD.rows(session=session_id, host=host, now=now), _HOST.rows(host=host)
    if not rows or not of_host:
        return None
    return _decided(rows, of_host, host, info, int(now.timestamp()) // TOKEN_SECONDS)


# The cache key contains all columns of the session, the user, the groups and the app, so every
# change takes effect at once. The signature of the ID token takes most of the time of a decision.
@lru_cache(MOST_DECISIONS)
def _decided(
    rows: tuple[Row, ...], _of_host: tuple[Row, ...], host: str, info: ClientInfo, _time: int
) -> dict[str, str] | None:
    session, client = _HELD.instance(rows), _find(host)
    if client is None or not accepts(session, info):
        return None
    # The scopes of the app are used, not those of the session, because a person could request fewer
    # scopes to hide a group.
    try:
        scope = decisions.remaining(client, session, _SCOPES, settings.AUTHSITE.origin)
    except OAuthError:
        return None
    # The query of ``_HELD`` has required a parent.
    sessions.note_use(cast(LoginSession, session.app_session.parent), info)
    return dict.fromkeys(HEADERS, "") | _about(session, client, scope)


def host_of(meta: Mapping[str, Any]) -> str:
    """Return the host about which a trusted proxy asks, or an empty string.

    The host must be in lower case without a port, so that each app has only one name.
    """
    peer = parse_ip(meta.get(PEER, meta.get("REMOTE_ADDR", "")))
    host: str = meta.get("HTTP_X_FORWARDED_HOST", "")
    is_trusted = peer is not None and trusts(peer, settings.AUTHSITE.trusted_proxies)
    return host if is_trusted and uris.is_host(host) else ""


@answers("GET")
def check(request: HttpRequest) -> HttpResponse:
    """Answer a proxy: 200 if the request may pass, otherwise 401 or 403.

    A 401 has a ``Location`` at which to sign in if the browser opens a page. There is none for a
    sent form, because a redirect would lose the form, and none for images, scripts, and requests by
    scripts.
    """
    headers = headers_for(request.META, client_of(request))
    if headers is not None:
        return HttpResponse(headers=headers)
    client = _find(host_of(request.META))
    if client is None:
        return _unknown()
    if request.META.get("HTTP_X_FORWARDED_METHOD", "GET") not in {"GET", "HEAD"}:
        return _page(client, _("You’re not signed in any more. What you sent wasn’t saved."))
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return _page(client, _("You’re not signed in."))
    path = _path(request.META.get("HTTP_X_FORWARDED_URI", ""))
    target = with_query(uris.forward_callback(client.pk), {"state": path})
    response = _page(client, _("We’re taking you to the sign-in page."), target, leads_on=True)
    response["Location"] = target
    return response


@answers("GET")
def callback(request: HttpRequest) -> HttpResponse:
    """Begin a sign-in on the host of the app, or complete it with the code.

    If a code does not belong to this browser, another sign-in begins, because the person may have
    opened several pages at once. Without a cookie, none begins, because the redirects would never
    end.
    """
    client = _find(host_of(request.META))
    if client is None:
        return _unknown()
    path, cookie = _path(request.GET.get("state", "")), _cookies(request.META)[0]
    target = f"https://{client.pk}{path}"
    if headers_for(request.META, client_of(request)) is not None:
        return redirect_to_app(target)
    if "error" in request.GET:
        return _page(client, _("You haven’t signed in."), status=400)
    if "code" not in request.GET:
        return _begin(client, path, cookie)
    if not cookie:
        return _page(client, _("Your browser must accept the cookie of this site."), status=400)
    with suppress(OAuthError):
        session = _redeem(client, request.GET["code"], cookie, client_of(request))
        return _with_cookie(redirect_to_app(target), cookie_for(session.pk))
    return _begin(client, path, cookie)


def _find(host: str) -> Client | None:
    """Return the app at ``host``, which may be disabled, or None."""
    client = clients.find_client(host) if host else None
    return client if client and client.is_forward else None


def _redeem(client: Client, code: str, verifier: str, info: ClientInfo) -> LoginSession:
    """Use up ``code``, and return the new session of the app.

    Raises:
        OAuthError: the code is not for this app and this browser, was used, or has expired.
        CannotSign: a signing key cannot be decrypted. The code is not used up.
    """
    challenge = codes.code_challenge_of(verifier)
    held = codes.get(code, client, uris.forward_callback(client.pk), challenge)
    id_tokens.be_ready(client)
    codes.redeem(held, info)
    assert held.given is not None  # noqa: S101 for the type checker: ``redeem`` has set it
    return held.given


def _begin(client: Client, path: str, cookie: str) -> HttpResponse:
    """Redirect to the authorization endpoint. Pages of the same browser share a verifier."""
    verifier = cookie if _VERIFIER.fullmatch(cookie) else secrets.token()
    asked = {
        "client_id": client.pk,
        "redirect_uri": uris.forward_callback(client.pk),
        "response_type": "code",
        "scope": " ".join(name for name in client.scope.split() if name in _SCOPES),
        "state": path,
        "code_challenge": codes.code_challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    return _with_cookie(redirect_to_app(with_query(absolute("authorize"), asked)), verifier)


def _about(session: LoginSession, client: Client, scope: frozenset[str]) -> dict[str, str]:
    """Return the headers about the user of ``session`` that ``scope`` grants."""
    claims = id_tokens.claims_of(session.user, scope)
    headers = {"Remote-Id": str(session.subject)}
    if "preferred_username" in claims:
        headers["Remote-User"] = _encoded(claims["preferred_username"])
    # An address that only Support has confirmed may belong to another person.
    if claims.get("email_verified"):
        headers["Remote-Email"] = _encoded(claims["email"])
    groups = ",".join(map(_encoded, claims.get("groups", ())))
    if len(groups) <= LONGEST_WITH_GROUPS:
        headers["Remote-Groups"] = groups
    return headers | {"Remote-Token": id_tokens.issue(session, client, scope)}


def _encoded(value: str) -> str:
    return quote(value, safe=_PLAIN)


def _path(text: str) -> str:
    """Return ``text`` if it is the path and query of a page of the app, else ``/``."""
    is_path = text.startswith("/") and text.isascii() and text.isprintable()
    return text if is_path and len(text) <= LONGEST_PATH else "/"


def _cookies(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return the value of the cookie, and the header ``Cookie`` without it.

    The value is empty if there are several such cookies, because an attacker must have set one of
    them.
    """
    pairs = [pair.strip() for pair in meta.get("HTTP_COOKIE", "").split(";")]
    own = [pair for pair in pairs if pair.partition("=")[0].rstrip() == COOKIE]
    value = own[0].partition("=")[2].strip() if len(own) == 1 else ""
    return value, "; ".join(pair for pair in pairs if pair and pair not in own)


def cookie_for(session_id: UUID) -> str:
    """Return the value of the cookie for the session of an app."""
    return session_id.hex + secrets.digest(session_id.hex, _PURPOSE)


def _session_of(cookie: str) -> UUID | None:
    """Return the session id in ``cookie``; None if the cookie is not from this site."""
    text, tag = cookie[:_ID], cookie[_ID:].encode()
    tags = secrets.digests(text, _PURPOSE)
    is_genuine = any(hmac.compare_digest(tag, good.encode()) for good in tags)
    return UUID(hex=text) if is_genuine else None


def _with_cookie(response: HttpResponse, value: str) -> HttpResponse:
    response.set_cookie(COOKIE, value, secure=True, httponly=True, samesite="Lax")
    return response


def _unknown() -> HttpResponse:
    sentence = "This host is not registered, or the proxy is not one of TRUSTED_PROXIES.\n"
    return HttpResponse(sentence, status=403, content_type="text/plain")


def _page(
    client: Client, sentence: str, url: str = "", *, leads_on: bool = False, status: int = 401
) -> HttpResponse:
    """Return a page without style sheet for the app's host, with a link to ``url``."""
    context = {"client": client, "sentence": sentence, "leads_on": leads_on}
    context["url"] = url or f"https://{client.pk}/"
    return HttpResponse(render_to_string("accounts/oauth/forward.html", context), status=status)
