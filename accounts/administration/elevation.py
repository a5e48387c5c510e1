"""The pages on which a superuser takes superuser rights, and gives them up again."""

import json
from dataclasses import replace

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.administration.act_pages import ReasonForm
from accounts.sessions import elevation
from accounts.sessions.current import actor_of, session_of
from accounts.sessions.models import LoginSession
from accounts.signin import flow
from accounts.signin.adminsite import always_open
from accounts.signin.session import record_reauthentication
from accounts.throttle.limits import STAFF_ACT
from accounts.throttle.services import spend
from accounts.twofactor import passkeys
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import WrongPasskey


class TakeForm(ReasonForm):
    """Asks a superuser for a reason, which other superusers read."""

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data)
        self.fields["reason"].help_text = ""


@always_open
@require_http_methods(["GET", "HEAD", "POST"])
def take(request: HttpRequest) -> HttpResponse:
    """Ask for a reason and a passkey, and elevate the session."""
    session = _session(request)
    form = TakeForm(request.POST if request.method == "POST" else None)
    error = ""
    if form.is_valid():
        try:
            _take(request, session, form.cleaned_data["reason"])
            messages.success(request, _("You have superuser rights for 30 minutes."))
            return redirect(flow.next_of(request) or "admin:index")
        except WrongPasskey as wrong:
            error = str(wrong)
    user = session.user
    has_passkey = twofactor.has_passkey(user)
    context = {
        **admin.site.each_context(request),
        "title": _("Take superuser rights"),
        "form": form,
        "passkey_error": error,
        "has_passkey": has_passkey,
        "passkey_options": json.dumps(passkeys.options_to_prove(user)) if has_passkey else "",
        "next": flow.next_of(request),
    }
    return render(request, "admin/elevation.html", context)


@always_open
@require_POST
def give_up(request: HttpRequest) -> HttpResponse:
    """End the elevation of the session."""
    session = _session(request)
    elevation.end(session, actor_of(request))
    messages.success(request, _("You’ve given up superuser rights. You work as a manager again."))
    return redirect("admin:index")


def _take(request: HttpRequest, session: LoginSession, reason: str) -> None:
    """Elevate ``session`` if the request has the answer of a passkey.

    Raises:
        WrongPasskey: it has no valid answer.
        RateLimited: there were too many attempts.
        AccountChanged: the account was changed at the same moment.
    """
    user, actor = session.user, actor_of(request)
    spend((STAFF_ACT, user.pk))
    proof = passkeys.prove(user, request.POST.get("credential", ""), actor)
    record_reauthentication(request, session, proof)
    by = actor_of(request).by(proof.method)
    elevation.begin(session, replace(by, reason=reason))


def _session(request: HttpRequest) -> LoginSession:
    """Return the session of a superuser who must take superuser rights.

    Raises:
        PermissionDenied: the user is no superuser.
        Http404: ``ADMIN_ELEVATION`` is ``off``.
    """
    session = session_of(request)
    if not session.user.holds_superuser:
        raise PermissionDenied
    if not elevation.is_offered(session.user):
        raise Http404
    return session
