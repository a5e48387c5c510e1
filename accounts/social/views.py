"""Going to a provider, and coming back."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.common.client_info import client_of
from accounts.common.csp import allow_provider_redirects
from accounts.common.errors import PublicError, RateLimited
from accounts.common.issuers import origin_of
from accounts.common.proofs import Method, Proof
from accounts.sessions import reauthentication
from accounts.sessions.current import actor_of, renew_key, request_auth_of, session_of
from accounts.signin import flow, policy, recent
from accounts.signin.session import record_reauthentication
from accounts.social import attempts, pending_link, services
from accounts.social.attempts import Act, Attempt
from accounts.social.provider_profile import ProviderProfile
from accounts.social.providers import Failed, Provider, Refused
from accounts.throttle.limits import PROVIDER_NETWORK
from accounts.throttle.services import around, spend
from accounts.users import identities
from accounts.users.identities import Identity
from accounts.users.models import User
from accounts.users.services import AccountChanged

logger = logging.getLogger(__name__)

# How far a provider's clock may be behind ours.
CLOCKS_DIFFER = timedelta(minutes=1)


@login_not_required
@never_cache
@allow_provider_redirects
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest, provider: Provider) -> HttpResponse:
    """Go there by POST; a GET asks, since any page can make a browser send one (login CSRF)."""
    next_url = flow.next_of(request)
    act = _act(request)
    request_auth = request_auth_of(request)
    if act is Act.SIGN_IN and request_auth.needs_reauthentication:
        return reauthentication.redirect_to_reauthenticate(request)
    if act is Act.SIGN_IN and request_auth.session:
        return redirect(next_url or "home")
    if request.method != "POST":
        context = {"provider": provider, "next": next_url, "act": act}
        return render(request, "accounts/social/login.html", context)
    if act is Act.CONNECT and not recent.is_recent(request):
        return _ask_for_proof()
    session, client = _session_id_of(request), client_of(request)
    spend(*[(PROVIDER_NETWORK, session)] if session else around(PROVIDER_NETWORK, client))
    state, attempt = attempts.start(
        request,
        provider.key,
        act,
        next_url=next_url,
        remember=bool(request.POST.get("remember")),
        session=session,
    )
    try:
        url = provider.authorize_url(attempt, state)
    except Failed as error:
        return _failed(request, provider, attempt, error)
    if origin_of(url) in provider.origins:
        return redirect(url)
    # A redirect that the form's policy would stop: a page of ours leads on instead.
    return render(request, "accounts/social/leave.html", {"provider": provider, "url": url})


def _session_id_of(request: HttpRequest) -> str:
    """The id of the login session of this browser, if it's in one."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    return str(session.pk) if session else ""


def _ask_for_proof() -> HttpResponse:
    return redirect_to_login(reverse("connections"), reverse("account_reauthenticate"))


def _act(request: HttpRequest) -> Act:
    """What for; whoever is a stranger here can only sign in."""
    request_auth = request_auth_of(request)
    asked = request.POST.get("act") or request.GET.get("act")
    if asked == Act.CONNECT and request_auth.session:
        return Act.CONNECT
    if asked == Act.PROVE and request_auth.presented:
        return Act.PROVE
    return Act.SIGN_IN


@login_not_required
@never_cache
@require_safe
def callback(request: HttpRequest, provider: Provider) -> HttpResponseBase:
    """Come back with a code, or without."""
    attempt = attempts.take(request, provider.key, request.GET.get("state", ""))
    if attempt.session != _session_id_of(request):
        if attempt.act is Act.SIGN_IN:
            # Another tab was first.
            return redirect(attempt.next_url or "home")
        # Signed out meanwhile, or in as somebody else.
        raise attempts.NotBegunHere
    try:
        profile = provider.profile(attempt, request.GET.dict())
    except Refused:
        sentence = _("You didn’t sign in with %(name)s. Nothing has changed here.")
        messages.warning(request, sentence % {"name": provider.name})
        return _back(attempt)
    except Failed as error:
        return _failed(request, provider, attempt, error)
    except RateLimited as error:
        # Its state is spent: the same address again would be no use.
        messages.error(request, str(error))
        return _back(attempt)
    if attempt.act is Act.SIGN_IN:
        return _sign_in(request, provider, attempt, profile)
    if attempt.act is Act.CONNECT:
        return _connect(request, provider, profile)
    return _prove(request, provider, attempt, profile)


def _sign_in(
    request: HttpRequest, provider: Provider, attempt: Attempt, profile: ProviderProfile
) -> HttpResponse:
    try:
        user = services.user_of(profile, client_of(request))
    except services.EmailInUse:
        pending_link.store(request, profile, attempt.next_url)
        sentence = _(
            "There is an account with %(address)s here. Sign in to it as you usually do; then you "
            "can connect it with %(name)s."
        )
        messages.info(request, sentence % {"address": profile.email, "name": provider.name})
        return redirect_to_login(reverse("provider_confirm"))
    except services.LockedAccountIdentity as error:
        messages.error(request, str(error))
        return flow.recover(request, error.identity.user, error.proof)
    except (services.NoNewAccounts, RateLimited) as error:
        messages.error(request, str(error))
        return _back(attempt)
    proof = Proof.now(Method.PROVIDER)
    return flow.begin(request, user, proof, remember=attempt.remember, next_url=attempt.next_url)


def _connect(request: HttpRequest, provider: Provider, profile: ProviderProfile) -> HttpResponse:
    if not recent.is_recent(request, acts=True):
        return _ask_for_proof()
    if identities.find(profile.issuer, profile.subject):
        return _connected(request, profile, provider.name, "connections")
    # Another person may be signed in at the provider: the owner sees who, and confirms.
    user = session_of(request).user
    pending_link.store(request, profile, reverse("connections"), begun_by=str(user.pk))
    return redirect("provider_confirm")


def _connected(
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
        messages.success(request, _("You can sign in with %(name)s now.") % {"name": name})
    else:
        messages.info(request, _("That is connected with your account already."))
    return redirect(then)


def _prove(
    request: HttpRequest, provider: Provider, attempt: Attempt, profile: ProviderProfile
) -> HttpResponse:
    request_auth = request_auth_of(request)
    session = request_auth.presented
    if session is None:
        raise attempts.NotBegunHere
    try:
        services.prove(session.user, profile, actor_of(request))
    except services.NotYours as error:
        messages.error(request, str(error))
        return _back(attempt)
    may_prove = provider.key in {issuer.key for issuer in policy.provers(session.user)}
    if not may_prove:
        messages.error(request, _("Show in another way that it’s you."))
        return _back(attempt)
    if provider.tells_when and not _is_anew(profile, attempt):
        sentence = _("%(name)s didn’t ask you to sign in anew. Try again, or take another way.")
        messages.error(request, sentence % {"name": provider.name})
        return _back(attempt)
    record_reauthentication(request, session, Proof.now(Method.PROVIDER))
    return redirect(attempt.next_url or "home")


def _is_anew(profile: ProviderProfile, attempt: Attempt) -> bool:
    """Whether they have shown the provider who they are since this browser was sent there: what it
    was asked for (``prompt``, ``max_age``) a browser can take out of the address on the way."""
    at = profile.signed_in_at
    return at is not None and at >= attempt.began_at - CLOCKS_DIFFER


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponseBase:
    """What somebody has come back with, or what was found to be theirs: connect it, or don't."""
    kept = pending_link.find(request)
    if kept is None:
        return redirect("connections")
    profile, next_url, name = kept.profile, kept.next_url, _name_of(kept.profile.issuer)
    if name is None or not kept.is_for(session_of(request).user):
        pending_link.discard(request)
        sentence = _("%(address)s isn’t an address of this account. Nothing was connected.")
        messages.error(request, sentence % {"address": profile.known_as})
        return redirect(next_url or "home")
    if not recent.is_recent(request):
        return reauthentication.redirect_to_reauthenticate(request)
    if request.method != "POST":
        context = {"profile": profile, "name": name}
        return render(request, "accounts/social/confirm.html", context)
    pending_link.discard(request)
    if "connect" not in request.POST:
        return redirect(next_url or "home")
    return _connected(request, profile, name, next_url or "connections")


@never_cache
@allow_provider_redirects
@require_http_methods(["GET", "HEAD", "POST"])
def connections(request: HttpRequest) -> HttpResponseBase:
    """See which are connected; connect and disconnect."""
    user = session_of(request).user
    if request.method == "POST":
        return _disconnect(request)
    rows = [(row, _why_not(user, row)) for row in identities.of(user)]
    return render(request, "accounts/social/connections.html", {"rows": rows})


def _why_not(user: User, identity: Identity) -> PublicError | None:
    """What forbids disconnecting it."""
    try:
        services.refuse_removal(user, identity)
    except (services.OnlyProviderLeft, services.NoWayBack) as error:
        return error
    return None


def _disconnect(request: HttpRequest) -> HttpResponseBase:
    if not recent.is_recent(request):
        return _ask_for_proof()
    session = session_of(request)
    identity_id = request.POST.get("disconnect", "")
    try:
        if not services.disconnect(session.user, identity_id, actor_of(request).by(*session.amr)):
            raise Http404
    except (services.OnlyProviderLeft, services.NoWayBack, AccountChanged) as error:
        messages.error(request, str(error))
        return redirect("connections")
    renew_key(request)
    messages.success(request, _("It’s disconnected: that sign-in doesn’t open your account now."))
    return redirect("connections")


def _back(attempt: Attempt) -> HttpResponse:
    """To the page that somebody went away from."""
    if attempt.act is Act.CONNECT:
        return redirect("connections")
    page = "account_reauthenticate" if attempt.act is Act.PROVE else "account_login"
    if attempt.next_url:
        return redirect_to_login(attempt.next_url, reverse(page))
    return redirect(page)


def _failed(
    request: HttpRequest, provider: Provider, attempt: Attempt, error: Failed
) -> HttpResponse:
    """A plain page. It's no fault of ours, and none of whoever asks: but no 5xx leaves here."""
    # The kind only: what a provider sends may hold a token.
    reason = type(error.__cause__ or error).__name__
    logger.warning("Sign-in with %s failed: %s %s", provider.key, reason, error)
    context = {"provider": provider, "back": _back(attempt)["Location"]}
    return render(request, "accounts/social/failed.html", context, status=400)


def _name_of(issuer: str) -> str | None:
    """What people call it, if it's configured."""
    return {known.issuer: known.name for known in settings.AUTHSITE.issuers}.get(issuer)
