"""The page of all places where one is signed in."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.kernel.paging import page_of
from accounts.sessions import services
from accounts.sessions.current import login_of, source_of
from accounts.users.models import User


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """See them; end one, or all but this one."""
    here = login_of(request)
    if request.method == "POST":
        return _end(request, here.user, here.pk)
    others = services.live(here.user).exclude(pk=here.pk)
    context = {"here": here, "page": page_of(request, others)}
    return render(request, "accounts/sessions/sessions.html", context)


def _end(request: HttpRequest, user: User, here: uuid.UUID) -> HttpResponse:
    if "others" in request.POST:
        count = services.end_others(user, here, source_of(request))
        sentence = ngettext("%(count)d sign-in was ended.", "%(count)d sign-ins were ended.", count)
        messages.success(request, sentence % {"count": count})
        return redirect("sessions")
    try:
        session_id = uuid.UUID(request.POST.get("end", ""))
    except ValueError:
        raise Http404 from None
    if session_id == here:
        return redirect("account_logout")
    if not services.end(user, session_id, source_of(request)):
        raise Http404
    messages.success(request, _("The sign-in was ended."))
    return redirect("sessions")
