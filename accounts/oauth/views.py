"""The authorization endpoint, and the pages that people see on the way to an app.

Every response has ``iss``, so that an app with several providers knows which one has responded (RFC
9207). Otherwise, the app could send a code of this site to an attacker's provider (a mix-up).

``authorize`` checks a request, and responds at once if nothing more is required. Otherwise it
stores the request. All further pages, such as those of the sign-in or the sign-up, then lead back
to ``proceed``, which decides again.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.activity import events
from accounts.activity.services import record_once_an_hour
from accounts.common import clock, logs, secrets
from accounts.common.client_info import client_of
from accounts.common.errors import RateLimited
from accounts.oauth import devices, requests
from accounts.oauth.clients import authentication, documents, uris
from accounts.oauth.clients.models import Client
from accounts.oauth.decisions import ERRORS, Step, decide, factor_for
from accounts.oauth.models import AuthorizationRequest, DeviceAuthorization
from accounts.oauth.protocol import OAuthError, endpoint, parameters, success, translated
from accounts.oauth.scopes import API_SCOPES, permissions_at
from accounts.sessions.current import (
    actor_of,
    redirect_to_reauthenticate,
    request_auth_of,
    session_of,
)
from accounts.signin import recent
from accounts.throttle.limits import AUTHORIZE_NETWORK, AUTHORIZE_SESSION
from accounts.throttle.services import around, give_back, hit
from accounts.tokens import dpop
from accounts.users.services import AccountChanged

# The page that posts to an app. Chromium applies ``form-action`` to the redirects of the app's
# response, so no list of origins would be complete.
POSTING_CSP = {name: value for name, value in settings.SECURE_CSP.items() if name != "form-action"}


def send_back(
    request: HttpRequest, asked: AuthorizationRequest, *, follows_form: bool = False, **result: str
) -> HttpResponse:
    """Send the browser to the app of ``asked`` with ``result``, the ``state`` and ``iss``.

    ``follows_form``: whether the person has sent a form before.
    """
    state = {"state": asked.state} if asked.state else {}
    values = result | state | {"iss": settings.AUTHSITE.origin}
    if asked.response_mode == requests.FORM_POST:
        return _post_back(request, asked, values)
    target = with_query(asked.redirect_uri, values)
    return lead_back(request, asked.client, target) if follows_form else redirect_to_app(target)


@csp_override(POSTING_CSP)
def _post_back(
    request: HttpRequest, asked: AuthorizationRequest, values: dict[str, str]
) -> HttpResponse:
    client, uri = asked.client, asked.redirect_uri
    context = {"client": client, "url": uri, "host": uris.host_of(uri), "values": values}
    return render(request, "accounts/oauth/form_post.html", context)


def with_query(uri: str, values: dict[str, str]) -> str:
    """Return ``uri`` with ``values`` added to its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(values)}"


def redirect_to_app(target: str) -> HttpResponse:
    """Return a redirect to ``target``.

    Django's own redirects refuse the private-use schemes of apps (RFC 8252) and long URLs. The
    status 303 makes the browser send a GET, whatever the request was (RFC 9700 section 4.12).
    """
    return HttpResponse(status=303, headers={"Location": target})


def lead_back(request: HttpRequest, client: Client, target: str) -> HttpResponse:
    """Return a page that sends the browser to ``target``, a URL of the app ``client``.

    Use it instead of a redirect after a form: Chromium applies the directive ``form-action`` to
    such a redirect, but not to this page.
    """
    context = {"client": client, "url": target, "host": uris.host_of(target)}
    return render(request, "accounts/oauth/leave.html", context)


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate the view of a page to which apps send browsers, and which needs no sign-in.

    If the view raises an :class:`OAuthError`, a page shows it. Another page says that a request was
    already answered, or that the account was changed.
    """

    @login_not_required
    @never_cache
    @require_http_methods(["GET", "POST"])
    @wraps(view)
    def answer(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except OAuthError as error:
            request_id = logs.REQUEST_ID.get()
            return _show(request, page="invalid", status=400, error=error, request_id=request_id)
        except (devices.AlreadyAnswered, AccountChanged):
            return _over(request)

    return answer


def _show(
    request: HttpRequest,
    asked: AuthorizationRequest | None = None,
    *,
    page: str,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Return ``page``; if ``asked`` is given, with its app and the session."""
    about = _context(request, asked) if asked else {}
    return render(request, f"accounts/oauth/{page}.html", about | context, status=status)


# The page for a request that is unknown, answered or expired, or belongs to another browser.
_over = partial(_show, page="over", status=400)
_disabled = partial(_show, page="disabled", status=403)


def consent(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Return the page that asks for consent.

    It names the host that gets the data, because any app can use the name of another one.
    """
    scopes = set(asked.scope.split())
    context: dict[str, Any] = {
        "scopes": scopes,
        "acts": [name for name in asked.scope.split() if name in API_SCOPES],
        "acts_elsewhere": (acts_elsewhere := permissions_at(asked.audience, scopes)),
        "may_change": acts_elsewhere or any(name.endswith(":write") for name in scopes),
        "groups": session_of(request).user.groups.order_by("name") if "groups" in scopes else (),
        "audience": asked.audience,
        "origin": settings.AUTHSITE.origin,
    }
    return _show(request, asked, page="consent", **context)


def _context(request: HttpRequest, asked: AuthorizationRequest) -> dict[str, Any]:
    return {
        "client": asked.client,
        "host": (host := uris.host_of(asked.redirect_uri)),
        "home": uris.document_host(asked.client_id) or host,
        "is_document": asked.client.source == Client.Source.DOCUMENT,
        "session": session_of(request),
        "here": request.path,
    } | (_device(request, asked.device) if asked.device else {})


def _device(request: HttpRequest, device: DeviceAuthorization) -> dict[str, Any]:
    """Return the template context for the request of a device.

    ``is_elsewhere``: whether the device is in another network than the browser.
    """
    here, there, client = client_of(request), device.info, device.client
    # The host that a self-registered app claims proves nothing for a device, because the data is
    # not sent there.
    has_claimed = client.source == Client.Source.REGISTRATION
    return {
        "device": device,
        "home": "" if has_claimed else client.host or uris.host_of(client.homepage),
        "is_elsewhere": here.wide_network != there.wide_network,
    }


@endpoint
def push(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Check and store a pushed authorization request; return its ``request_uri``."""
    client = authentication.authenticate(request, sent)
    if "request_uri" in sent:
        raise OAuthError("invalid_request", "A pushed request must not have a request_uri.")
    asked, proof = requests.read(client, sent), dpop.proof_of(request)
    if proof.thumbprint:
        # The proof binds the code to its key, as ``dpop_jkt`` would (RFC 9449 section 10.1).
        if asked.dpop_jkt not in {"", proof.thumbprint}:
            raise OAuthError("invalid_dpop_proof", "The dpop_jkt does not match the proof.")
        asked.dpop_jkt = proof.thumbprint
    budgets = requests.budgets_of(client, request)
    asked.is_of_network = client.is_public
    request_uri = requests.push(asked, *budgets)
    # The proof is used up after the limits are checked, so that a stranger cannot fill the database
    # with used proofs.
    proof.consume()
    seconds = int(requests.PUSHED_LIFE.total_seconds())
    return success({"request_uri": request_uri, "expires_in": seconds}, status=201)


@csrf_exempt  # The forms of apps may send the request (OpenID Connect Core section 3.1.2.1).
@page
def authorize(request: HttpRequest) -> HttpResponse:
    """Check an authorization request; answer it, or redirect to the page at which it continues.

    Until the app and its redirect URI are verified, errors are shown as pages and not sent as
    redirects (RFC 6749 section 4.1.2.1).
    """
    data = request.POST if request.method == "POST" else request.GET
    return _authorize(request, data, clock.now())


def _authorize(request: HttpRequest, data: QueryDict, made_at: datetime) -> HttpResponse:
    """Handle a request with the parameters ``data`` that a browser first sent at ``made_at``."""
    client_id, client = requests.client_of_request(data)
    is_pushed = any(uri.startswith(requests.URN) for uri in data.getlist("request_uri"))
    # For a pushed request, ``proceed`` reads the document.
    if client is None or (documents.must_be_read(client) and not is_pushed):
        _check_is_page(request)
        if request.method == "POST":  # without the cookies of the browser, as in _as_get
            return redirect_to_app(f"{reverse('authorize')}?{data.urlencode()}")
        if request_auth_of(request).session is None:
            return _sign_in_first(request, data)
        client = documents.read(client_id, session_of(request).user, client_of(request))
    if client.disabled_at is not None:
        # Even an error must not be sent to the app, because somebody else may control it now.
        return _disabled(request, client=client)
    if is_pushed:
        return _authorize_pushed(request, client, parameters(data)["request_uri"])
    redirect_uri = requests.check_redirect_uri(client, requests.single(data, "redirect_uri"))
    try:
        if client.requires_par:
            raise OAuthError("invalid_request", "The client must push its requests (RFC 9126).")
        asked = requests.read(client, parameters(data))
    except OAuthError as error:
        if not client.is_verified:  # a link to this site could lead anywhere (RFC 9700 4.11.2)
            raise
        asked = requests.without_checks(client, redirect_uri, data)
        return send_back(request, asked, error=error.error, error_description=error.description)
    asked.made_at = made_at
    try:
        if request.method == "POST":
            _check_is_page(request)
            budgets = around(AUTHORIZE_NETWORK, client_of(request))
            return _as_get(client, requests.push(asked, *budgets))
        if response := _respond_at_once(request, asked):
            return response
        _check_is_page(request)
        return store_and_proceed(request, asked)
    except RateLimited as error:
        return _tell_to_wait(request, asked, error)


def _tell_to_wait(
    request: HttpRequest, asked: AuthorizationRequest, error: RateLimited
) -> HttpResponse:
    """Send ``error`` to the app of ``asked`` if it is verified (RFC 6749 section 4.1.2.1).

    Raises:
        RateLimited: the app is not verified; a page then shows ``error``.
    """
    if not asked.client.is_verified:
        raise error
    told = translated(error)
    return send_back(request, asked, error=told.error, error_description=told.description)


def _sign_in_first(request: HttpRequest, data: QueryDict) -> HttpResponse:
    """Store a request that cannot be checked yet, and redirect to the page where it continues.

    Raises:
        OAuthError: a parameter is repeated or malformed, or the request must not show pages.
    """
    given = parameters(data)
    if given.get("prompt") == "none":
        # The error cannot be sent to the app: only the document says which redirect URIs are
        # allowed.
        raise OAuthError("login_required", "Nobody is signed in.")
    browser = requests.browser_of(request) or secrets.token()
    unread = requests.store_unread(given, browser, request)
    return _to_proceed(request, unread.pk, browser, given.get("ui_locales", ""))


def _authorize_pushed(request: HttpRequest, client: Client, request_uri: str) -> HttpResponse:
    """Continue a pushed request in the browser that opens it first (RFC 9126 section 4)."""
    if request.method == "POST":
        return _as_get(client, request_uri)
    browser = requests.browser_of(request) or secrets.token()
    asked = requests.open_pushed(client, request_uri, browser)
    try:
        response = _respond_at_once(request, asked)
    except RateLimited as error:
        return _tell_to_wait(request, asked, error)
    return response or _to_proceed(request, asked.pk, browser, asked.ui_locales)


def _as_get(client: Client, request_uri: str) -> HttpResponse:
    """Redirect to the same request as a GET: browsers send no cookies with cross-site POSTs."""
    query = {"client_id": client.pk, "request_uri": request_uri}
    return redirect_to_app(reverse("authorize", query=query))


def store_and_proceed(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Store ``asked`` for the browser, and redirect to the page at which it continues."""
    browser = requests.browser_of(request) or secrets.token()
    requests.store(asked, browser, request)
    return _to_proceed(request, asked.pk, browser, asked.ui_locales)


def _check_is_page(request: HttpRequest) -> None:
    """Require that the browser opens the request as a page, or does not say how it opens it.

    Images, frames and prefetched pages are refused. With them, a page of another site could use up
    the limits of a person's network, so that nobody there could sign in to apps.

    Raises:
        OAuthError: the browser opens the request in another way.
    """
    is_document = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    if not is_document or "Sec-Purpose" in request.headers:
        sentence = "Open the request as a page of its own, not in a frame or as an image."
        raise OAuthError("invalid_request", sentence)


def _to_proceed(request: HttpRequest, key: str, browser: str, ui_locales: str) -> HttpResponse:
    response = HttpResponseRedirect(reverse("proceed", args=[key]), status=303)
    requests.set_browser(response, browser)
    if request_auth_of(request).session is None:
        requests.choose_language(response, ui_locales)
    return response


def _respond_at_once(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse | None:
    """Return the response to ``asked`` if no page is needed, else None."""
    step = decide(asked, request_auth_of(request).session)
    if step is Step.GRANTED:
        try:
            code = _granted(request, asked)
            return send_back(request, asked, code=code)
        except devices.ConsentMissing:
            step = Step.CONSENT
    if step is Step.DISABLED:
        return _disabled(request, client=asked.client)
    if asked.prompts != "none":
        return None
    devices.close(asked)
    # After an ``id_token_hint``, a different error would tell a disconnected app who is signed in.
    error = ERRORS[Step.SIGN_IN] if asked.subject else ERRORS[step]
    if not asked.client.is_verified and asked.client.source != Client.Source.OPERATOR:
        # The URI is only a claim of the app, so a link to this site could lead anywhere.
        raise OAuthError(error, "Nobody has verified the client, so the error is only shown.")
    return send_back(request, asked, error=error)


@page
def proceed(request: HttpRequest, key: str) -> HttpResponse:
    """Continue a stored request: show the page that it needs next, or send the browser to the app.

    Only the browser that has opened the request can continue it. A POST answers one of the pages.
    """
    asked = requests.find_request(key, requests.browser_of(request))
    if asked is None:
        return _proceed_unread(request, key)
    _read_again(request, asked)
    session, is_opening = request_auth_of(request).session, request.method != "POST"
    step = decide(asked, session, is_opening=is_opening)
    act = request.POST.get("act")
    if session and step in REFUSING:
        label = asked.client.label
        record_once_an_hour(session.user, events.APP_REFUSED, actor_of(request), label)
    if step is Step.DISABLED:
        return _disabled(request, client=asked.client)
    if act == "cancel":
        devices.refuse(asked)
        return _lead_back(request, asked, error="access_denied")
    is_for_this_session = _is_for_this_session(request)
    if act == "choose" and is_for_this_session and step is Step.SELECT_ACCOUNT:
        requests.choose(asked, session_of(request))
        return redirect("proceed", key)
    # A second click on "Continue" on the previous page does not count as consent.
    agrees = act == "allow" and is_for_this_session and step is Step.CONSENT
    try:
        if step is Step.GRANTED or agrees:
            return _lead_back(request, asked, code=_granted(request, asked, agrees=agrees))
    except devices.ConsentMissing:
        step = Step.CONSENT
    return STEPS[step](request, asked)


def _proceed_unread(request: HttpRequest, key: str) -> HttpResponse:
    """Check a request that was stored until the sign-in, as :func:`authorize` does with others."""
    unread = requests.find_unread(key, requests.browser_of(request))
    if unread is None or request.method == "POST":
        return _over(request)
    if request_auth_of(request).session is None:
        return redirect_to_login(request.path)
    return _authorize(request, QueryDict(unread.query), unread.made_at)


def _read_again(request: HttpRequest, asked: AuthorizationRequest) -> None:
    """Read the metadata document of the app again if it is due and somebody is signed in.

    Raises:
        OAuthError: the document cannot be used, or no longer has the redirect URI.
    """
    session = request_auth_of(request).session
    if session is None or not documents.must_be_read(asked.client):
        return
    asked.client = documents.read(asked.client_id, session.user, client_of(request))
    if not asked.device_id:
        requests.check_redirect_uri(asked.client, asked.redirect_uri)


def _is_for_this_session(request: HttpRequest) -> bool:
    """Return whether the form shows the account that is signed in now.

    Somebody else, who has agreed to nothing, may have signed in since the page was opened.
    """
    session = request_auth_of(request).session
    return session is not None and request.POST.get("session") == str(session.pk)


def _lead_back(request: HttpRequest, asked: AuthorizationRequest, **result: str) -> HttpResponse:
    """Return the page that leads back to the app with ``result``, or confirms it for a device."""
    # Without this, many people behind one IP address could not sign in to apps in the same minutes.
    if asked.is_of_network:
        give_back(*around(AUTHORIZE_NETWORK, client_of(request)))
    if asked.device_id:
        context = {"client": asked.client, "is_allowed": "code" in result}
        return render(request, "accounts/oauth/device_answered.html", context)
    return send_back(request, asked, follows_form=True, **result)


def _granted(request: HttpRequest, asked: AuthorizationRequest, *, agrees: bool = False) -> str:
    """Grant ``asked``; return the code.

    Raises:
        AlreadyAnswered, ConsentMissing, AccountChanged: see
            :func:`accounts.oauth.devices.grant`.
        RateLimited: there were too many sign-ins to apps in this session. Without a limit, a
            script in the browser could fill the disk.
    """
    session = session_of(request)
    hit(AUTHORIZE_SESSION.of(session.pk))
    return devices.grant(asked, session, actor_of(request), agrees=agrees)


def _reauthenticate(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    query = {"next": request.path}
    if factor_for(asked, session_of(request).user) is Client.Factor.PASSKEY:
        query["require"] = "passkey"
    return redirect(reverse("account_reauthenticate", query=query))


def _enrol(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    is_passkey = factor_for(asked, session_of(request).user) is Client.Factor.PASSKEY
    page = "passkey_add" if is_passkey else "totp_setup"
    return redirect(reverse(page, query={"next": request.path}))


# At these steps, the person lacks something that only others, or another page, can provide.
REFUSING = {Step.DISABLED, Step.ENROL, Step.FORBIDDEN}
type Page = Callable[[HttpRequest, AuthorizationRequest], HttpResponse]
STEPS: dict[Step, Page] = {
    Step.SIGN_IN: lambda request, _asked: redirect_to_login(request.path),
    Step.REAUTHENTICATE: _reauthenticate,
    Step.ENROL: _enrol,
    Step.NEW_FACTOR: lambda request, _asked: recent.refuse_new_factor(request),
    Step.FORBIDDEN: partial(_show, page="forbidden", status=403),
    Step.SELECT_ACCOUNT: partial(_show, page="account", may_continue=True),
    # The signed-in account may not continue if ``id_token_hint`` names another one.
    Step.OTHER_ACCOUNT: partial(_show, page="account"),
    Step.CONFIRM: lambda request, _asked: redirect_to_reauthenticate(request),
    Step.CONSENT: consent,
}
