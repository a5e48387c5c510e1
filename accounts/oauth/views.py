"""The authorization endpoint, and the page at which a request continues.

``authorize`` checks a request and answers it at once if nothing is missing. Otherwise it stores the
request. Every page that the person needs next, such as those of the sign-in or the sign-up, then
leads back to ``proceed``, which decides again.
"""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.common import clock, secrets
from accounts.common.client_info import client_of
from accounts.oauth import documents, granting, language, open_requests, pages, requests, responses
from accounts.oauth.decisions import ERRORS, Step, decide, factor_for
from accounts.oauth.models import AuthorizationRequest, Client
from accounts.oauth.protocol import OAuthError, is_acceptable, parameters
from accounts.sessions.current import actor_of, request_auth_of, session_of
from accounts.throttle.limits import AUTHORIZE_NETWORK, AUTHORIZE_SESSION
from accounts.throttle.services import around, give_back, spend
from accounts.users.services import AccountChanged


@login_not_required
@never_cache
@csrf_exempt  # The forms of apps may send the request (OpenID Connect Core section 3.1.2.1).
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Check an authorization request; answer it, or redirect to the page at which it continues.

    Until the app and its redirect URI are known to be right, errors are pages and not redirects
    (RFC 6749 section 4.1.2.1).
    """
    data = request.POST if request.method == "POST" else request.GET
    return _authorize(request, data, clock.now())


def _authorize(request: HttpRequest, data: QueryDict, made_at: datetime) -> HttpResponse:
    """Handle a request with the parameters ``data`` that a browser first sent at ``made_at``."""
    try:
        client_id, client = requests.client_of(data)
        is_pushed = any(data.getlist("request_uri"))
        # For a pushed request, ``proceed`` reads the document.
        if client is None or (documents.must_be_read(client_id, client) and not is_pushed):
            if not _is_page(request):
                return pages.not_a_page(request)
            if request.method == "POST":  # without the cookies of the browser, as in _as_get
                return responses.redirect(f"{reverse('authorize')}?{data.urlencode()}")
            if request_auth_of(request).session is None:
                return _sign_in_first(request, data)
            client = documents.read(client_id, session_of(request).user, client_of(request))
        if client.disabled_at is not None:
            # Even an error must not be sent to the app, because somebody else may run it now.
            return pages.disabled(request, client)
        if is_pushed:
            return _authorize_pushed(request, client, parameters(data)["request_uri"])
        redirect_uri = requests.redirect_uri_of(data, client)
    except OAuthError as error:
        return pages.invalid(request, error)
    try:
        asked = requests.read(client, parameters(data))
    except OAuthError as error:
        if not client.is_verified:  # a link to this site could lead anywhere (RFC 9700 4.11.2)
            return pages.invalid(request, error)
        return responses.redirect(_error_url(redirect_uri, data, error))
    asked.made_at = made_at
    if request.method == "POST":
        if not _is_page(request):
            return pages.not_a_page(request)
        budgets = around(AUTHORIZE_NETWORK, client_of(request))
        return _as_get(client, open_requests.push(asked, *budgets))
    return _answer_or_store(request, asked)


def _sign_in_first(request: HttpRequest, data: QueryDict) -> HttpResponse:
    """Store a request that cannot be checked yet, and redirect to where it continues.

    Raises:
        OAuthError: a parameter is repeated or malformed, or the request must not show pages.
    """
    given = parameters(data)
    if given.get("prompt") == "none":
        # Only the document says to which redirect URI an error may be sent.
        raise OAuthError("login_required", "Nobody is signed in.")
    browser = open_requests.browser_of(request) or secrets.token()
    unread = open_requests.store_unread(given, browser, client_of(request))
    return _to_proceed(request, unread.pk, browser, given.get("ui_locales", ""))


def _authorize_pushed(request: HttpRequest, client: Client, request_uri: str) -> HttpResponse:
    """Continue a pushed request in the browser that opens it first (RFC 9126 section 4)."""
    if request.method == "POST":
        return _as_get(client, request_uri)
    browser = open_requests.browser_of(request) or secrets.token()
    budgets = open_requests.spend_opening(client, request_uri, client_of(request))
    asked = open_requests.open_pushed(client, request_uri, browser)
    response = _answer_at_once(request, asked)
    if response:
        give_back(*budgets)
    return response or _to_proceed(request, asked.pk, browser, asked.ui_locales)


def _as_get(client: Client, request_uri: str) -> HttpResponse:
    """Redirect to the same request as a GET: browsers send no cookies with cross-site POSTs."""
    query = urlencode({"client_id": client.pk, "request_uri": request_uri})
    return responses.redirect(f"{reverse('authorize')}?{query}")


def _answer_or_store(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    if response := _answer_at_once(request, asked):
        return response
    if not _is_page(request):
        return pages.not_a_page(request)
    browser = open_requests.browser_of(request) or secrets.token()
    open_requests.store(asked, browser, client_of(request))
    return _to_proceed(request, asked.pk, browser, asked.ui_locales)


def _is_page(request: HttpRequest) -> bool:
    """Return whether the browser opens the request as a page, or does not say what it opens.

    Images, frames and pages that are loaded in advance are refused. With them, a page of another
    site could use up the limits of a person's network, so that nobody there could sign in to apps.
    """
    is_document = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    return is_document and "Sec-Purpose" not in request.headers


def _to_proceed(request: HttpRequest, key: str, browser: str, ui_locales: str) -> HttpResponse:
    response = responses.redirect(reverse("proceed", args=[key]))
    open_requests.set_browser(response, browser)
    if request_auth_of(request).session is None:
        language.choose(response, ui_locales)
    return response


def _answer_at_once(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse | None:
    """Return the answer to ``asked`` if it needs no page, else None."""
    step = decide(asked, request_auth_of(request).session)
    if step is Step.GRANTED:
        try:
            code = _granted(request, asked)
            return responses.redirect(responses.url(asked.redirect_uri, asked.state, code=code))
        except granting.ConsentMissing:
            step = Step.CONSENT
        except (granting.AlreadyAnswered, AccountChanged):
            return pages.over(request)
    if step is Step.DISABLED:
        return pages.disabled(request, asked.client)
    if asked.prompts != "none":
        return None
    granting.close(asked)
    # After an ``id_token_hint``, another error would tell a disconnected app who is signed in.
    error = ERRORS[Step.SIGN_IN] if asked.subject else ERRORS[step]
    return responses.redirect(responses.url(asked.redirect_uri, asked.state, error=error))


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def proceed(request: HttpRequest, key: str) -> HttpResponse:
    """Continue a stored request: show what it needs next, or lead back to the app.

    Only the browser that has opened the request may do so. A POST answers one of the pages.
    """
    asked = open_requests.find(key, open_requests.browser_of(request))
    if asked is None:
        return _proceed_unread(request, key)
    try:
        _read_again(request, asked)
    except OAuthError as error:
        return pages.invalid(request, error)
    step = decide(asked, request_auth_of(request).session)
    act = request.POST.get("act")
    if step is Step.DISABLED:
        return pages.disabled(request, asked.client)
    if act == "cancel":
        return _cancel(request, asked)
    is_for_this_session = _is_for_this_session(request)
    if act == "choose" and is_for_this_session and step is Step.SELECT_ACCOUNT:
        open_requests.choose(asked, session_of(request))
        return redirect("proceed", key)
    # A second click on "Continue", at the page before, is no consent.
    agrees = act == "allow" and is_for_this_session
    try:
        if step is Step.GRANTED or (agrees and step is Step.CONSENT):
            return _lead_back(request, asked, code=_granted(request, asked, agrees=agrees))
    except granting.ConsentMissing:
        step = Step.CONSENT
    except (granting.AlreadyAnswered, AccountChanged):
        return pages.over(request)
    return STEPS[step](request, asked)


def _proceed_unread(request: HttpRequest, key: str) -> HttpResponse:
    """Check a request that has waited for a sign-in, as :func:`authorize` checks others."""
    unread = open_requests.find_unread(key, open_requests.browser_of(request))
    if unread is None or request.method == "POST":
        return pages.over(request)
    if request_auth_of(request).session is None:
        return redirect_to_login(request.path)
    return _authorize(request, QueryDict(unread.query), unread.made_at)


def _read_again(request: HttpRequest, asked: AuthorizationRequest) -> None:
    """Read the metadata document of the app again if it is due and somebody is signed in.

    Raises:
        OAuthError: the document cannot be used, or no longer has the redirect URI.
    """
    session = request_auth_of(request).session
    if session is None or not documents.must_be_read(asked.client_id, asked.client):
        return
    asked.client = documents.read(asked.client_id, session.user, client_of(request))
    if not asked.device_id:
        requests.check_redirect_uri(asked.client, asked.redirect_uri)


def _is_for_this_session(request: HttpRequest) -> bool:
    """Return whether the form shows the account that is signed in now.

    Somebody else may have signed in since the page was opened, who has agreed to nothing.
    """
    session = request_auth_of(request).session
    return session is not None and request.POST.get("session") == str(session.pk)


def _cancel(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    if not granting.refuse(asked):
        return pages.over(request)
    return _lead_back(request, asked, error="access_denied")


def _lead_back(request: HttpRequest, asked: AuthorizationRequest, **result: str) -> HttpResponse:
    """Return the page that leads back to the app with ``result``, or confirms it for a device."""
    # Otherwise, many people behind one IP address could not sign in to apps in the same minutes.
    give_back(*around(AUTHORIZE_NETWORK, client_of(request)))
    if asked.device_id:
        return pages.device_answered(request, asked, is_allowed="code" in result)
    target = responses.url(asked.redirect_uri, asked.state, **result)
    return responses.lead_back(request, asked.client, target)


def _granted(request: HttpRequest, asked: AuthorizationRequest, *, agrees: bool = False) -> str:
    """Grant ``asked``; return the code.

    Raises:
        AlreadyAnswered, ConsentMissing, AccountChanged: see
            :func:`accounts.oauth.granting.grant`.
        RateLimited: too many sign-ins to apps in this session. A script in the browser could
            otherwise fill the disk.
    """
    session = session_of(request)
    spend(AUTHORIZE_SESSION.of(session.pk))
    return granting.grant(asked, session, actor_of(request), agrees=agrees)


def _error_url(redirect_uri: str, data: QueryDict, error: OAuthError) -> str:
    state = requests.single(data, "state")
    values = {"error": error.error, "error_description": error.description}
    return responses.url(redirect_uri, state if is_acceptable(state) else "", **values)


def _sign_in(request: HttpRequest, _asked: AuthorizationRequest) -> HttpResponse:
    return redirect_to_login(request.path)


def _reauthenticate(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    query = {"next": request.path}
    if factor_for(asked, session_of(request).user) is Client.Factor.PASSKEY:
        query["require"] = "passkey"
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode(query)}")


def _enrol(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    is_passkey = factor_for(asked, session_of(request).user) is Client.Factor.PASSKEY
    page = reverse("passkey_add" if is_passkey else "totp_setup")
    return redirect(f"{page}?{urlencode({'next': request.path})}")


type Page = Callable[[HttpRequest, AuthorizationRequest], HttpResponse]
STEPS: dict[Step, Page] = {
    Step.SIGN_IN: _sign_in,
    Step.REAUTHENTICATE: _reauthenticate,
    Step.ENROL: _enrol,
    Step.FORBIDDEN: pages.forbidden,
    Step.SELECT_ACCOUNT: pages.select_account,
    Step.OTHER_ACCOUNT: pages.other_account,
    Step.CONSENT: pages.consent,
}
