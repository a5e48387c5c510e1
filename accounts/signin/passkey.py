"""The page to sign in with a passkey alone.

A passkey also verifies the user, so it counts as both steps of a sign-in.
"""

import json

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.common.pages import allow_provider_redirects, form_page
from accounts.sessions import last_method
from accounts.sessions.current import actor_of
from accounts.signin import flow, login_page
from accounts.signin.views import home_if_signed_in
from accounts.twofactor import passkeys
from accounts.twofactor.errors import LockedAccountPasskey, UnknownPasskey, WrongPasskey
from accounts.twofactor.models import rp_id


@login_not_required
@form_page
@allow_provider_redirects
@home_if_signed_in
def login_passkey(request: HttpRequest) -> HttpResponse:
    """Sign in with the response of a passkey, which also identifies the user."""
    if "credential" not in request.POST:
        next_url = flow.next_of(request)
        return redirect_to_login(next_url) if next_url else redirect(settings.LOGIN_URL)
    try:
        user, proof = passkeys.sign_in(request.POST["credential"], actor_of(request))
    except UnknownPasskey as error:
        unknown = json.dumps({"rpId": rp_id(), "unknown": error.credential_id})
        return login_page.page(request, passkey_error=str(error), signal=unknown)
    except LockedAccountPasskey as error:
        return flow.recover(request, error.user, error.proof)
    except WrongPasskey as error:
        return login_page.page(request, passkey_error=str(error))
    remember = bool(request.POST.get("remember"))
    return flow.start_sign_in(
        request,
        user,
        proof,
        remember=remember,
        next_url=flow.next_of(request),
        button=last_method.PASSKEY,
    )
