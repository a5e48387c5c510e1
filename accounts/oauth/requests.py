"""Reads, checks and stores authorization requests (RFC 6749, RFC 7636, RFC 8707, RFC 9126).

A request is refused with an :class:`OAuthError`. A redirect to the app is safe only after
:func:`client_of_request` and :func:`check_redirect_uri`.

Only the browser that has opened a request can continue it. A cookie with a random value identifies
this browser. Without it, an attacker could make somebody else answer the attacker's request, or
answer a request that somebody else has begun.
"""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import get_supported_language_variant

from accounts.common import clock, secrets
from accounts.common.client_info import client_of
from accounts.common.pages import set_cookie
from accounts.common.proofs import Assurance
from accounts.oauth import id_tokens
from accounts.oauth.clients import services as clients
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import LONGEST_ID, Client
from accounts.oauth.clients.uris import is_registered
from accounts.oauth.models import AuthorizationRequest, UnreadRequest
from accounts.oauth.protocol import OAuthError, is_acceptable, required
from accounts.oauth.scopes import API_SCOPES, SCOPES, known, of_service
from accounts.sessions import known_browsers
from accounts.sessions.current import request_auth_of
from accounts.sessions.models import LoginSession
from accounts.signin.flow import Hint
from accounts.throttle.limits import AUTHORIZE_CLIENT, AUTHORIZE_NETWORK, AUTHORIZE_SESSION, Budget
from accounts.throttle.services import around, hit


def choose_language(response: HttpResponse, ui_locales: str) -> None:
    """Set the language cookie to the first of ``ui_locales`` that the site has.

    The cookie lasts until the browser is closed.

    ``ui_locales``: language tags, separated by spaces, in the order of preference (OpenID Connect
        Core section 3.1.2.1). After the sign-in, the user's own language applies.
    """
    for tag in ui_locales.split():
        try:
            language = get_supported_language_variant(tag)
        except LookupError:
            continue
        set_cookie(response, settings.LANGUAGE_COOKIE_NAME, language, None)
        return


# Requested claims by name, with the requirements of the request for each.
type Claims = dict[str, dict[str, Any]]
# The time in which a request must be completed.
LIFE = timedelta(hours=1)
PROMPTS = {"none", "login", "consent", "select_account"}
# This is longer than any session, so a greater ``max_age`` has the same meaning.
LONGEST_AGE = 10**9
# OAuth 2.0 Form Post Response Mode.
FORM_POST = "form_post"
_DIGEST = (r"[A-Za-z0-9_-]{43}", "have 43 characters")
# The pattern of each parameter, and its description for the developer of the app. ``dpop_jkt`` is
# the thumbprint of the key to which the code will be bound (RFC 9449 section 10).
_FORMS = {
    "response_mode": (rf"query|{FORM_POST}", f"be query or {FORM_POST}"),
    "code_challenge_method": (r"S256", "be S256"),
    "code_challenge": _DIGEST,
    "dpop_jkt": _DIGEST,
    "max_age": (r"[0-9]{1,18}", "be a number of seconds"),
}
# Parameters that would change the meaning of a request, and their errors (OpenID Connect Core
# sections 3.1.2.6 and 7.2.1).
_UNSUPPORTED = {
    "request": "request_not_supported",
    # The ``request_uri`` of a pushed request begins with URN, and is handled before this check.
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


def client_of_request(data: QueryDict) -> tuple[str, Client | None]:
    """Return the client ID in the request, and the app with this ID.

    The app is None if the client ID is a URL whose metadata document was not fetched yet.

    Raises:
        OAuthError: the request names no app, an unknown one, or several.
    """
    client_id = single(data, "client_id")
    # PostgreSQL would refuse a NUL character with an error.
    is_possible = 0 < len(client_id) <= LONGEST_ID and client_id.isprintable()
    if not is_possible or uris.is_withdrawn(client_id):
        raise _unknown()
    client = clients.find_client(client_id)
    if client is None and not uris.is_url(client_id):
        raise _unknown()
    return client_id, client


def single(data: QueryDict, name: str) -> str:
    """Return the value of a parameter; an empty string if it is missing or repeated."""
    values = data.getlist(name)
    return values[0] if len(values) == 1 else ""


def read(client: Client, given: Mapping[str, str]) -> AuthorizationRequest:
    """Return an unsaved authorization request of ``client`` with the parameters ``given``.

    Raises:
        OAuthError: the request is not valid.
    """
    _check_values(given)
    claims = _claims(given.get("claims", "{}"))
    scope, audience = access_of(client, {**given, "scope": _scope_for(client, given, claims)})
    acr_values, requires_acr = _acr(given, claims)
    _check_challenge(client, given, scope)
    redirect_uri = check_redirect_uri(client, given.get("redirect_uri", ""))
    response_mode = given.get("response_mode", "")
    if response_mode == FORM_POST and not _takes_post(client, redirect_uri):
        raise OAuthError("invalid_request", "For form_post, the redirect_uri must be https.")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        response_mode=response_mode,
        scope=scope,
        audience=audience,
        state=given.get("state", ""),
        nonce=given.get("nonce", ""),
        code_challenge=given.get("code_challenge", ""),
        dpop_jkt=given.get("dpop_jkt", ""),
        prompts=_prompts(given.get("prompt", "")),
        max_age=min(int(given["max_age"]), LONGEST_AGE) if "max_age" in given else None,
        acr_values=acr_values,
        requires_acr=requires_acr,
        # These two parameters only help people, so an overlong value is cut instead of refused.
        login_hint=given.get("login_hint", "")[:254],
        ui_locales=given.get("ui_locales", "")[:255],
        subject=_subject(client, given.get("id_token_hint", ""), claims),
        expires_at=clock.now() + LIFE,
    )


def without_checks(client: Client, redirect_uri: str, data: QueryDict) -> AuthorizationRequest:
    """Return an unsaved request that is sufficient to send an error to the app.

    ``redirect_uri``: a redirect URI that the app has registered.
    ``data``: the parameters of the invalid request.
    """
    mode, state = single(data, "response_mode"), single(data, "state")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        response_mode=mode if _takes_post(client, redirect_uri) else "",
        state=state if is_acceptable(state) else "",
    )


def _takes_post(client: Client, redirect_uri: str) -> bool:
    """Return whether a page may send the response to ``redirect_uri`` by POST.

    A program on a device usually accepts only GET requests, and its own scheme accepts no POST.
    This site itself receives the responses for hosts behind proxies, only by GET.
    """
    if client.is_forward:
        return False
    is_local = client.is_development and redirect_uri.startswith("http://")
    return is_local or uris.is_claimed(redirect_uri)


def access_of(client: Client, given: Mapping[str, str]) -> tuple[str, str]:
    """Return the scopes that ``client`` requests, and the service for which its tokens are.

    Raises:
        OAuthError: ``invalid_scope`` or ``invalid_target``: the client may not have them;
            ``unauthorized_client``: the client has expired.
    """
    if client.has_expired:
        raise OAuthError("unauthorized_client", "The client has expired. Register it again.")
    scope = _scope(client, given.get("scope", ""))
    audience = _audience(client, given.get("resource", ""), scope)
    if others := set(scope.split()) - SCOPES.keys() - of_service(audience).keys():
        sentence = f"The scope {min(others)} needs another resource."
        raise OAuthError("invalid_scope", sentence)
    return scope, audience


def _check_values(given: Mapping[str, str]) -> None:
    """Require that parameters with few allowed values, or with a fixed format, are valid.

    Raises:
        OAuthError: a parameter is missing or malformed, requests another flow, or is not
            supported.
    """
    for name, error in _UNSUPPORTED.items():
        if name in given:
            raise OAuthError(error, f"The parameter {name} is not supported.")
    if required(given, "response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response_type must be code.")
    for name, (form, words) in _FORMS.items():
        if name in given and not re.fullmatch(form, given[name], re.ASCII):
            raise OAuthError("invalid_request", f"The {name} must {words}.")


def _check_challenge(client: Client, given: Mapping[str, str], scope: str) -> None:
    """Require that the app can detect an authorization code that an attacker has injected.

    The app can do so by PKCE, or by the ``nonce`` in the ID token (RFC 9700 section 2.1.1). The
    default method of PKCE is ``plain``, whose challenge is the verifier (RFC 7636 section 4.3).

    Raises:
        OAuthError: the request has no S256 challenge although ``client`` needs one, or has
            neither a challenge nor a nonce with an ID token.
    """
    names = ("code_challenge", "code_challenge_method")
    if client.requires_pkce or any(name in given for name in names):
        for name in names:
            required(given, name)
    elif "nonce" not in given or "openid" not in scope.split():
        sentence = "A request without a code_challenge needs a nonce and the scope openid."
        raise OAuthError("invalid_request", sentence)


def _unknown() -> OAuthError:
    return OAuthError("invalid_request", "The client_id is missing or unknown.")


def check_redirect_uri(client: Client, given: str) -> str:
    """Return the redirect URI ``given`` if ``client`` has registered it.

    Raises:
        OAuthError: ``client`` has not registered it.
    """
    if uris.is_registered(client.redirect_uris, given):
        return given
    raise OAuthError("invalid_request", "The redirect_uri is missing or not registered.")


def _scope(client: Client, given: str) -> str:
    """Return the known scopes in ``given``, each once (OpenID Connect Core section 3.1.2.1).

    Raises:
        OAuthError: there is no known scope, or one that the app may not request.
    """
    if not given and client.source != Client.Source.OPERATOR:
        # MCP clients send no scope if their server does not name one. RFC 6749 section 3.3 allows a
        # default.
        return "openid"
    defined = known()
    wanted = [name for name in dict.fromkeys(given.split(" ")) if name in defined]
    if not wanted:
        raise OAuthError("invalid_scope", "The scope is missing, or none of its values is known.")
    if not_allowed := set(wanted) - set(client.scope.split()):
        raise OAuthError("invalid_scope", f"The app may not request {min(not_allowed)}.")
    return " ".join(wanted)


def _audience(client: Client, resource: str, scope: str) -> str:
    """Return the service for which the tokens are: ``resource`` (RFC 8707), or this site.

    Every app may have tokens for userinfo at this site, but not for the API of this site.

    Raises:
        OAuthError: the app may not have tokens for the service.
    """
    origin = settings.AUTHSITE.origin
    audience = resource or origin
    may_use = client.may_use(audience)
    if not may_use and (audience != origin or not API_SCOPES.isdisjoint(scope.split())):
        raise OAuthError("invalid_target", "The app may not request tokens for this resource.")
    return audience


def _prompts(given: str) -> str:
    wanted = list(dict.fromkeys(given.split()))
    if set(wanted) - PROMPTS or ("none" in wanted and len(wanted) > 1):
        raise OAuthError("invalid_request", "The prompt is unknown, or has none and another value.")
    return " ".join(wanted)


def _subject(client: Client, hint: str, claims: Claims) -> uuid.UUID | None:
    """Return the ``sub`` of the only user who may sign in; None if any user may.

    The ID token ``hint`` or the requested claim ``sub`` names the user.

    Raises:
        OAuthError: ``hint`` is not an ID token that this site has issued to the app, or
            ``hint`` and the claim name different users.
    """
    named = claims.get("sub", {}).get("value")
    if hint:
        of_hint = id_tokens.hint_of(hint, client.pk)
        if of_hint is None or (named is not None and named != of_hint["sub"]):
            raise OAuthError("invalid_request", "The id_token_hint is not valid.")
        named = of_hint["sub"]
    try:
        return None if named is None else uuid.UUID(named)
    except (ValueError, AttributeError, TypeError):
        raise OAuthError(
            "invalid_request", "The value of the claim sub is not one of ours."
        ) from None


def _claims(text: str) -> Claims:
    """Return the claims that the parameter ``claims`` requests, with the requirements for each.

    The ID token and userinfo contain the same claims (OpenID Connect Core section 5.5).

    Raises:
        OAuthError: the parameter is malformed.
    """
    try:
        sent = json.loads(text)
        parts = [sent.get(place) or {} for place in ("userinfo", "id_token")]
        return {name: dict(asked or {}) for part in parts for name, asked in part.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise OAuthError("invalid_request", "The parameter claims is malformed.") from None


def _scope_for(client: Client, given: Mapping[str, str], claims: Claims) -> str:
    """Return the requested scopes, and the scopes that grant the requested ``claims``.

    People consent to scopes. Claims that ``client`` cannot have are left out, even if they are
    essential (OpenID Connect Core section 5.5.1).
    """
    scope, allowed = given.get("scope", ""), client.scope.split()
    if "openid" not in scope.split():
        return scope
    more = [
        name
        for name, granted in id_tokens.BY_SCOPE.items()
        if name in allowed and not claims.keys().isdisjoint(granted)
    ]
    return " ".join([scope, *more])


def _acr(given: Mapping[str, str], claims: Claims) -> tuple[str, bool]:
    """Return the known values of ``acr`` in the request, and whether one of them is required.

    Only the requested claim ``acr`` can require one (OpenID Connect Core section 5.5.1.1).

    Raises:
        OAuthError: none of the required values is known.
    """
    asked = claims.get("acr", {})
    named = asked.get("values") or ([asked["value"]] if "value" in asked else [])
    wanted = named if isinstance(named, list) and named else given.get("acr_values", "").split()
    known = list(dict.fromkeys(value for value in wanted if value in list(Assurance)))
    is_required = bool(named) and asked.get("essential") is True
    if is_required and not known:
        sentence = "The acr can only be aal1 or aal2."
        raise OAuthError("unmet_authentication_requirements", sentence)
    return " ".join(known), is_required


# The time in which a browser must open a pushed request (RFC 9126 section 2.2).
PUSHED_LIFE = timedelta(seconds=90)
URN = "urn:ietf:params:oauth:request_uri:"
# In characters. The longest ``state`` takes up to three quarters of this.
LONGEST_QUERY = 32 * 1024
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
# Separates these digests from other digests of ``secrets.digest``.
_PURPOSE = "authorize"


def browser_of(request: HttpRequest) -> str:
    """Return the cookie that binds requests to this browser; an empty string if there is none."""
    value = request.COOKIES.get(settings.AUTHORIZE_COOKIE_NAME, "")
    return value if _COOKIE.fullmatch(value) else ""


def set_browser(response: HttpResponse, browser: str) -> None:
    """Set the cookie with the value ``browser``, which lasts as long as a request.

    Several tabs of a browser share the value, so that each can continue its own request.
    """
    set_cookie(response, settings.AUTHORIZE_COOKIE_NAME, browser, LIFE)


def push(asked: AuthorizationRequest, *budgets: Budget) -> str:
    """Store ``asked``, which no browser has opened yet; return its ``request_uri``.

    ``budgets``: the rate limits that count the request.

    Raises:
        RateLimited: too many requests were stored.
    """
    hit(*budgets)
    asked.expires_at = clock.now() + PUSHED_LIFE
    asked.save(force_insert=True)
    return URN + asked.pk


def budgets_of(client: Client, request: HttpRequest) -> list[Budget]:
    """Return the rate limits for a ``request`` that ``client`` sends itself, not through a browser.

    Anybody can send the requests of a public app, so they are limited by the network of the sender.

    Raises:
        OAuthError: a page in a browser has sent the request. A page of another site cannot read
            the response, but could use up the limits of a person's network.
    """
    # Browsers send this header (Fetch Metadata), and no script can remove it.
    if "Sec-Fetch-Site" in request.headers:
        raise OAuthError("invalid_request", "Send the request from the app, not from a page.")
    if client.is_public:
        return around(AUTHORIZE_NETWORK, client_of(request))
    return [AUTHORIZE_CLIENT.of(client.pk)]


def hit_browser(request: HttpRequest) -> bool:
    """Count a request of an app that the browser opens; return whether the network was counted.

    A session, and a browser in which somebody has signed in before, have their own limits.
    Otherwise, a stranger in a person's network could use up the limit of that person.

    Raises:
        RateLimited: too many requests were opened. Without a limit, a stranger could fill the
            disk.
    """
    client, session = client_of(request), request_auth_of(request).session
    if session:
        hit(AUTHORIZE_SESSION.of("opens", session.pk))
    elif known_browsers.is_known(client):
        hit(AUTHORIZE_SESSION.of("opens", client.known_cookie))
    else:
        hit(*around(AUTHORIZE_NETWORK, client))
        return True
    return False


def store(asked: AuthorizationRequest, browser: str, request: HttpRequest) -> None:
    """Store ``asked``, which only the browser with the cookie value ``browser`` may continue.

    Raises:
        RateLimited: see :func:`hit_browser`.
    """
    asked.is_of_network = hit_browser(request)
    asked.browser = secrets.digest(browser, _PURPOSE)
    asked.save(force_insert=True)


def open_pushed(client: Client, request_uri: str, browser: str) -> AuthorizationRequest:
    """Return the pushed request of ``client``, and bind it to the browser that opens it first.

    That browser may open it again, because people reload pages (RFC 9126 section 4).

    ``request_uri``: begins with :data:`URN`, and has no control characters.

    Raises:
        OAuthError: the request is unknown, has expired, is from another app, or is open in
            another browser.
    """
    key, now = request_uri.removeprefix(URN), clock.now()
    rows = AuthorizationRequest.objects.filter(pk=key, client=client, browser="")
    digest = secrets.digest(browser, _PURPOSE)
    rows.filter(expires_at__gt=now).update(browser=digest, expires_at=now + LIFE)
    asked = find_request(key, browser)
    if asked is None or asked.client != client:
        raise OAuthError("invalid_request_uri", "The request_uri is unknown, used, or too old.")
    return asked


def find_request(key: str, browser: str) -> AuthorizationRequest | None:
    """Return the request ``key`` if the browser with the cookie value ``browser`` opened it.

    Return None if another browser opened the request, if it is unknown or has expired, or if the
    app has removed the redirect URI, which somebody else may control now.
    """
    asked = _mine(AuthorizationRequest.objects.select_related("client"), key, browser)
    if asked is None or asked.device_id:
        return asked
    return asked if is_registered(asked.client.redirect_uris, asked.redirect_uri) else None


def choose(asked: AuthorizationRequest, session: LoginSession) -> None:
    """Record that the user has chosen to continue ``asked`` with the account of ``session``.

    If the request was already answered and deleted, do nothing.
    """
    AuthorizationRequest.objects.filter(pk=asked.pk).update(chosen=session.pk)


def store_unread(given: dict[str, str], browser: str, request: HttpRequest) -> UnreadRequest:
    """Store the parameters ``given`` of a request, as :func:`store` stores a checked request.

    Raises:
        OAuthError: the parameters are too long in total. Without a limit, a stranger could fill
            the disk.
        RateLimited: see :func:`hit_browser`.
    """
    query = urlencode(given)
    if len(query) > LONGEST_QUERY:
        raise OAuthError("invalid_request", "The request is too long.")
    hit_browser(request)
    return UnreadRequest.objects.create(
        browser=secrets.digest(browser, _PURPOSE),
        query=query,
        expires_at=clock.now() + LIFE,
    )


def find_unread(key: str, browser: str) -> UnreadRequest | None:
    """Return the unread request ``key`` if the browser with the cookie value ``browser`` opened it.

    Return None if another browser opened it, if it is unknown, or if it has expired.
    """
    return _mine(UnreadRequest.objects.all(), key, browser)


def hint_of(request: HttpRequest, next_url: str) -> Hint | None:
    """Return what the sign-in pages show about the app whose request continues at ``next_url``.

    Return None if no request of this browser continues there.
    """
    start = reverse("proceed", args=["x"]).removesuffix("x")
    if not next_url.startswith(start):
        return None
    key, browser = next_url.removeprefix(start), browser_of(request)
    if asked := find_request(key, browser):
        return Hint(asked.client.label, asked.login_hint)
    if unread := find_unread(key, browser):
        given = dict(parse_qsl(unread.query))
        return Hint(uris.document_host(given["client_id"]), given.get("login_hint", "")[:254])
    return None


def _mine[R: (AuthorizationRequest, UnreadRequest)](
    rows: QuerySet[R], key: str, browser: str
) -> R | None:
    if not (key.isprintable() and browser):
        return None
    mine = rows.filter(pk=key, browser__in=secrets.digests(browser, _PURPOSE))
    return mine.filter(expires_at__gt=clock.now()).first()
