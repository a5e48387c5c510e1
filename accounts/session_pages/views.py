"""The page that lists the sessions of a user."""

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.common import clock
from accounts.common.pages import form_page
from accounts.common.paging import page_of
from accounts.lockdown.access import Access
from accounts.session_pages import services as pages
from accounts.sessions import connected, known_browsers, reauthentication, services
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.sessions.models import LoginSession
from accounts.twofactor import trusted_browsers


@form_page
def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions of the signed-in user; revoke one session or all others."""
    here = session_of(request)
    if request.method == "POST":
        return (
            _sign_out_elsewhere(request, here)
            if "others" in request.POST
            else _revoke(request, here)
        )
    page = page_of(request, pages.others(here))
    browsers = [session for session in page if not session.is_client]
    pages.add_apps([here, *browsers])
    connected.fetch(page)
    access = Access(here.user, here.pk)
    context = {
        "here": here,
        "page": page,
        "browsers": browsers,
        "programs": [session for session in page if session.is_client and not session.is_app],
        "apps": [session for session in page if session.is_app],
        "access": access,
        "trusts_here": access.trusted and trusted_browsers.here(request, here.user).exists(),
    }
    return render(request, "accounts/session_pages/sessions.html", context)


def _sign_out_elsewhere(request: HttpRequest, here: LoginSession) -> HttpResponse:
    """Revoke all sessions except ``here``, and require recent authentication.

    Without recent authentication, a thief with copied cookies could sign the owner out. The cookie
    of the known browser is renewed as well, so the owner's browser would become an unknown one.
    """
    if clock.now() > (here.factor_at or here.auth_time) + reauthentication.RECENT:
        return reauthentication.redirect_to_reauthenticate(request)
    with transaction.atomic():
        count = pages.sign_out_elsewhere(here.user, here.pk, actor_of(request))
        known_browsers.renew(request, here.user)
    # Copies of this browser's cookies are no longer valid afterwards. The key is renewed after the
    # commit: otherwise two browsers that sign each other out would wait for each other's rows.
    renew_key(request)
    sentence = ngettext(
        "%(count)d other session was signed out.",
        "%(count)d other sessions were signed out.",
        count,
    )
    nothing = _("You weren’t signed in anywhere else.")
    messages.success(request, sentence % {"count": count} if count else nothing)
    return redirect("sessions")


def _revoke(request: HttpRequest, here: LoginSession) -> HttpResponse:
    try:
        session_id = uuid.UUID(request.POST.get("end", ""))
    except ValueError:
        raise Http404 from None
    if session_id == here.pk:
        return redirect("account_logout")
    if not services.revoke_by_id(here.user, session_id, actor_of(request)):
        raise Http404
    messages.success(request, _("The session was signed out."))
    return redirect("sessions")
