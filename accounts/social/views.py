"""Pages to sign in, reauthenticate and connect with external providers."""

import json
import logging
from typing import TYPE_CHECKING

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.common import crypto
from accounts.common.client_info import client_of
from accounts.common.errors import RateLimited
from accounts.common.issuers import origin_of
from accounts.common.pages import allow_provider_redirects, form_page
from accounts.common.proofs import Method, Proof
from accounts.sessions import current
from accounts.sessions.current import actor_of, renew_key, request_auth_of, session_of
from accounts.signin import flow, recent
from accounts.signin.services import NotAccepted
from accounts.signin.session import record_reauthentication
from accounts.social import attempts, services
from accounts.social.attempts import Attempt, AttemptPurpose, Failed, ProviderProfile, Refused
from accounts.social.services import NotSignedInAnew, NotYours
from accounts.throttle.limits import UNGUESSABLE
from accounts.throttle.services import around, hit
from accounts.users import models as users_models
from accounts.users.services import AccountChanged, EmailTaken

if TYPE_CHECKING:
    from accounts.social.providers import Provider

log = logging.getLogger(__name__)

# The fields that the site reads from a response by POST.
POSTED, LONGEST_POSTED, POSTED_PURPOSE = ("code", "error", "state", "user"), 1000, "provider.answer"

# The pages from which browsers are sent to a provider.
START = {
    AttemptPurpose.SIGN_IN: "account_login",
    AttemptPurpose.CONNECT: "connections",
    AttemptPurpose.REAUTHENTICATE: "account_reauthenticate",
}


@login_not_required
@form_page
@allow_provider_redirects
@sensitive_post_parameters("password")
def login(request: HttpRequest, provider: "Provider") -> HttpResponse:
    """Redirect the browser to the provider.

    Only a POST redirects. A GET shows a page with a button, because any website can make a browser
    send a GET (login CSRF).
    """
    next_url = flow.next_of(request)
    request_auth = request_auth_of(request)
    wanted = request.POST.get("act") or request.GET.get("act")
    act = attempts.allowed_purpose(wanted, request_auth)
    if act is AttemptPurpose.SIGN_IN and request_auth.needs_reauthentication:
        return current.redirect_to_reauthenticate(request)
    if act is AttemptPurpose.SIGN_IN and request_auth.session:
        return redirect(next_url or "home")
    if request.method != "POST":
        context = {"provider": provider, "next": next_url, "act": act}
        return render(request, "accounts/social/login.html", context)
    if act is AttemptPurpose.CONNECT and not recent.has_recent_authentication(request):
        return _reauthenticate(request)
    session, client = _session_id_of(request), client_of(request)
    what = "provider"
    hit(*[UNGUESSABLE.of(what, session)] if session else around(UNGUESSABLE, client, what))
    remember = bool(request.POST.get("remember"))
    attempt = Attempt(provider.key, act, next_url, remember=remember, session=session)
    state = attempts.start(request, attempt)
    try:
        url = provider.authorize_url(attempt, state)
    except Failed as error:
        return _failed(request, provider, attempt, error)
    if origin_of(url) in provider.origins:
        return redirect(url)
    # The form's Content Security Policy would block a redirect, so a page of this site leads to the
    # provider.
    return render(request, "accounts/social/leave.html", {"provider": provider, "url": url})


def _session_id_of(request: HttpRequest) -> str:
    """Return the id of this browser's session; an empty string if it has none."""
    session = request_auth_of(request).presented
    return str(session.pk) if session else ""


def _reauthenticate(request: HttpRequest) -> HttpResponse:
    return current.redirect_to_reauthenticate(request, back=reverse("connections"))


@login_not_required
@never_cache
@csrf_exempt  # The provider's page sends the POST; the ``state`` in it belongs to the browser.
@require_http_methods(["GET", "HEAD", "POST"])
def callback(request: HttpRequest, provider: "Provider") -> HttpResponseBase:
    """Handle the provider's response, and finish the sign-in, connection or reauthentication."""
    if request.method == "POST":
        return _repeat_as_get(request, provider)
    answer = _unsealed(request) if provider.posts else request.GET.dict()
    attempt = attempts.take(request, provider.key, answer.get("state", ""))
    if attempt.session != _session_id_of(request):
        if attempt.purpose is AttemptPurpose.SIGN_IN:
            # Another tab of this browser has signed in meanwhile.
            return redirect(attempt.next_url or "home")
        # The browser has signed out meanwhile, or signed in as another user.
        raise attempts.NotBegunHere
    try:
        profile = provider.profile(attempt, answer)
    except Refused:
        sentence = _("You didn’t sign in with %(name)s. Nothing has changed here.")
        messages.warning(request, sentence % {"name": provider.name})
        return _redirect_back(attempt)
    except Failed as error:
        return _failed(request, provider, attempt, error)
    except RateLimited as error:
        # The ``state`` is used up, so the same URL would not work a second time.
        messages.error(request, str(error))
        return _redirect_back(attempt)
    if attempt.purpose is AttemptPurpose.SIGN_IN:
        return _sign_in(request, provider, attempt, profile)
    if attempt.purpose is AttemptPurpose.CONNECT:
        return _connect(request, provider, profile)
    return _finish_reauthentication(request, attempt, profile)


def _repeat_as_get(request: HttpRequest, provider: "Provider") -> HttpResponse:
    """Redirect the browser to this URL with the encrypted response in its query.

    A POST from another site has no ``SameSite=Lax`` cookies, but the following GET has them. The
    response is encrypted because logs and the browser's history must not contain the code and the
    name of the person.
    """
    if not provider.posts:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    answer = {name: request.POST.get(name, "")[:LONGEST_POSTED] for name in POSTED}
    query = urlencode({"answer": crypto.seal(json.dumps(answer), POSTED_PURPOSE)})
    return HttpResponseRedirect(f"{request.path}?{query}", status=303)


def _unsealed(request: HttpRequest) -> dict[str, str]:
    try:
        sealed = crypto.unseal(request.GET.get("answer", ""), POSTED_PURPOSE)
    except InvalidToken:
        raise attempts.NotBegunHere from None
    return {name: value for name, value in json.loads(sealed).items() if value}


def _sign_in(
    request: HttpRequest, provider: "Provider", attempt: Attempt, profile: ProviderProfile
) -> HttpResponse:
    try:
        user = services.user_of(profile, client_of(request))
    except EmailTaken:
        services.store(request, profile, attempt.next_url)
        sentence = _(
            "An account with the address %(address)s already exists. To connect the account to "
            "%(name)s, sign in to the account as usual first."
        )
        messages.info(request, sentence % {"address": profile.email, "name": provider.name})
        return redirect_to_login(reverse("provider_confirm"))
    except services.LockedAccountIdentity as error:
        messages.error(request, str(error))
        return flow.recover(request, error.identity.user, error.proof)
    except (services.NoNewAccounts, RateLimited) as error:
        messages.error(request, str(error))
        return _redirect_back(attempt)
    proof = Proof.now(Method.PROVIDER, provider.name)
    return flow.start_sign_in(
        request,
        user,
        proof,
        remember=attempt.remember,
        next_url=attempt.next_url,
        button=provider.key,
    )


def _connect(request: HttpRequest, provider: "Provider", profile: ProviderProfile) -> HttpResponse:
    if not recent.has_recent_authentication(request, acts=True):
        return _reauthenticate(request)
    if users_models.find_identity(profile.issuer, profile.subject):
        return _finish_connecting(request, profile, provider.name, "connections")
    # Another person may be signed in at the provider, so the page shows whose account it is, and
    # the user confirms.
    user = session_of(request).user
    services.store(request, profile, reverse("connections"), begun_by=str(user.pk))
    return redirect("provider_confirm")


def _finish_connecting(
    request: HttpRequest, profile: ProviderProfile, name: str, then: str
) -> HttpResponse:
    session = session_of(request)
    try:
        is_new = services.connect(session.user, profile, actor_of(request).by(*session.amr))
    except (services.ConnectedElsewhere, AccountChanged) as error:
        messages.error(request, str(error))
        return redirect("connections")
    if is_new:
        renew_key(request)
        messages.success(request, _("You can now sign in with %(name)s.") % {"name": name})
    else:
        messages.info(request, _("That account is already connected to yours."))
    return redirect(then)


def _finish_reauthentication(
    request: HttpRequest, attempt: Attempt, profile: ProviderProfile
) -> HttpResponse:
    session = request_auth_of(request).presented
    if session is None:
        raise attempts.NotBegunHere
    try:
        proof = services.verify(session.user, profile, attempt, actor_of(request))
    except (NotAccepted, NotSignedInAnew, NotYours) as error:
        messages.error(request, str(error))
        return _redirect_back(attempt)
    record_reauthentication(request, session, proof)
    return redirect(attempt.next_url or "home")


@form_page
def confirm(request: HttpRequest) -> HttpResponseBase:
    """Ask the user to confirm the pending link of this browser, and connect its identity."""
    link = services.find_pending_link(request)
    if link is None:
        return redirect("connections")
    profile, next_url, name = link.profile, link.next_url, services.name_of(link.profile.issuer)
    if name is None or not link.is_for(session_of(request).user):
        services.discard(request)
        sentence = _("%(address)s doesn’t belong to this account, so nothing was connected.")
        messages.error(request, sentence % {"address": profile.known_as})
        return redirect(next_url or "home")
    if not recent.has_recent_authentication(request):
        return current.redirect_to_reauthenticate(request)
    if request.method != "POST":
        context = {"profile": profile, "name": name}
        return render(request, "accounts/social/confirm.html", context)
    services.discard(request)
    if "connect" not in request.POST:
        return redirect(next_url or "home")
    return _finish_connecting(request, profile, name, next_url or "connections")


@form_page
@allow_provider_redirects
def connections(request: HttpRequest) -> HttpResponseBase:
    """Show the connected external identities; a POST disconnects one."""
    user = session_of(request).user
    if request.method == "POST":
        return _disconnect(request)
    rows = [(row, services.refusal_of_removal(user, row)) for row in users_models.of(user)]
    return render(request, "accounts/social/connections.html", {"rows": rows})


def _disconnect(request: HttpRequest) -> HttpResponseBase:
    if not recent.has_recent_authentication(request):
        return _reauthenticate(request)
    session = session_of(request)
    identity_id = request.POST.get("disconnect", "")
    try:
        if not services.disconnect(session.user, identity_id, actor_of(request).by(*session.amr)):
            raise Http404
    except (services.OnlyProviderLeft, services.NoWayBack, AccountChanged) as error:
        messages.error(request, str(error))
        return redirect("connections")
    renew_key(request)
    messages.success(request, _("Disconnected. You can’t sign in with that account any more."))
    return redirect("connections")


def _redirect_back(attempt: Attempt) -> HttpResponse:
    """Redirect to the page from which the browser went to the provider."""
    page = START[attempt.purpose]
    if attempt.next_url and attempt.purpose is not AttemptPurpose.CONNECT:
        return redirect_to_login(attempt.next_url, reverse(page))
    return redirect(page)


def _failed(
    request: HttpRequest, provider: "Provider", attempt: Attempt, error: Failed
) -> HttpResponse:
    """Log why the attempt failed, and return the error page.

    The status is 400, because nothing that a client sends may cause a 5xx.
    """
    # Only the type of the error is logged, because a provider's response may contain a token.
    kind = type(error.__cause__ or error).__name__
    log.warning("Sign-in with %s failed: %s %s", provider.key, kind, error)
    context = {"provider": provider, "back": _redirect_back(attempt)["Location"]}
    return render(request, "accounts/social/failed.html", context, status=400)
