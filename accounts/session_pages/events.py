"""The page that advises users about an event of their history that they do not recognize."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from accounts.activity import history
from accounts.activity import services as activity
from accounts.activity.models import Activity
from accounts.common.pages import form_page
from accounts.sessions import services
from accounts.sessions.current import actor_of, session_of
from accounts.sessions.models import LoginSession


@form_page
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Show an event of the signed-in user's history, and what to do if the user did not cause it.

    A POST revokes the session in which the event occurred.
    """
    here = session_of(request)
    row = get_object_or_404(activity.of(here.user), pk=event_id)
    session = _live_session(row, here)
    if request.method == "POST":
        is_ended = session and services.revoke_by_id(here.user, session.pk, actor_of(request))
        if not is_ended:
            raise Http404
        messages.success(request, _("%(device)s was signed out.") % {"device": session})
        return redirect("event", event_id)
    context = {
        "entry": history.Entry([row]),
        "session": session,
        "is_here": row.session == here.pk and not row.actor,
        "contact": settings.AUTHSITE.contact,
    }
    return render(request, "accounts/session_pages/event.html", context)


def _live_session(row: Activity, here: LoginSession) -> LoginSession | None:
    """Return the session in which the event ``row`` occurred, if the user can revoke it.

    The result is None if the session is not live or is the current session ``here``. It is also
    None if staff or the operator caused the event, because no session of the user did.
    """
    if row.actor or row.session is None or row.session == here.pk:
        return None
    return services.live(here.user).filter(pk=row.session).first()
