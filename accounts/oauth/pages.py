"""The pages that people see on the way to an app: consent, the choice of an account, errors."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.common.client_info import client_of
from accounts.oauth import document_urls, redirect_uris
from accounts.oauth.models import AuthorizationRequest, Client, DeviceAuthorization
from accounts.oauth.protocol import OAuthError
from accounts.oauth.scopes import API_SCOPES, acts_at
from accounts.sessions.current import session_of


def invalid(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Return the page for an invalid request. It does not send the browser to the app."""
    return render(request, "accounts/oauth/invalid.html", {"error": error}, status=400)


def not_a_page(request: HttpRequest) -> HttpResponse:
    """Return the page for a request that opens in a frame or as an image."""
    sentence = "Open the request as a page of its own, not in a frame or as an image."
    return invalid(request, OAuthError("invalid_request", sentence))


def over(request: HttpRequest) -> HttpResponse:
    """Return the page for a request that is unknown, answered, expired, or of another browser."""
    return render(request, "accounts/oauth/over.html", status=400)


def disabled(request: HttpRequest, client: Client) -> HttpResponse:
    """Return the page that says that the app is disabled."""
    return render(request, "accounts/oauth/disabled.html", {"client": client}, status=403)


def forbidden(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Return the page for a person who is not in the group that the app is for."""
    context = _context(request, asked)
    return render(request, "accounts/oauth/forbidden.html", context, status=403)


def select_account(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Return the page that asks with which account to continue."""
    context = _context(request, asked) | {"may_continue": True}
    return render(request, "accounts/oauth/account.html", context)


def other_account(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Return the page for a person who is not the one that ``id_token_hint`` names."""
    return render(request, "accounts/oauth/account.html", _context(request, asked))


def consent(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    """Return the page that asks for consent.

    It names the host that gets the data, because anybody can give an app the name of another one.
    """
    scopes = set(asked.scope.split())
    context = _context(request, asked) | {
        "scopes": scopes,
        "acts": [name for name in asked.scope.split() if name in API_SCOPES],
        "acts_elsewhere": (acts_elsewhere := acts_at(asked.audience, scopes)),
        "may_change": acts_elsewhere or any(name.endswith(":write") for name in scopes),
        "groups": session_of(request).user.groups.order_by("name") if "groups" in scopes else (),
        "audience": asked.audience,
        "origin": settings.AUTHSITE.origin,
    }
    return render(request, "accounts/oauth/consent.html", context)


def device_answered(
    request: HttpRequest, asked: AuthorizationRequest, *, is_allowed: bool
) -> HttpResponse:
    """Return the page that confirms that the person has allowed or refused a device."""
    context = {"client": asked.client, "is_allowed": is_allowed}
    return render(request, "accounts/oauth/device_answered.html", context)


def _context(request: HttpRequest, asked: AuthorizationRequest) -> dict[str, Any]:
    return {
        "client": asked.client,
        "host": (host := redirect_uris.host_of(asked.redirect_uri)),
        "home": document_urls.host_of(asked.client_id) or host,
        "is_document": asked.client.source == Client.Source.DOCUMENT,
        "session": session_of(request),
        "here": request.path,
    } | (_device(request, asked.device) if asked.device else {})


def _device(request: HttpRequest, device: DeviceAuthorization) -> dict[str, Any]:
    """Return the context of the templates for the request of a device.

    ``is_elsewhere``: whether the device is on a different network from the browser.
    """
    here, there, client = client_of(request), device.info, device.client
    # What an app that has registered itself says of its host proves nothing: no host gets the data.
    has_claimed = client.source == Client.Source.REGISTRATION
    return {
        "device": device,
        "home": "" if has_claimed else client.host or redirect_uris.host_of(client.homepage),
        "is_elsewhere": here.wide_network != there.wide_network,
    }
