"""The pages of a lockdown. What it does is listed before it's done, and done by POST only."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.activity import notices
from accounts.activity.notices import Notice
from accounts.activity.services import Source
from accounts.kernel.places import place_of
from accounts.lockdown import services
from accounts.sessions import current
from accounts.signin.recent import recent_authentication_required
from accounts.users.models import User


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_authentication_required
def lockdown(request: HttpRequest) -> HttpResponse:
    """Lock the account from inside, after recent authentication.

    A stolen cookie alone must not lock the owner out. Who can't reauthenticate uses the link of a
    security mail.
    """
    login = current.login_of(request)
    if request.method == "POST":
        services.lock_down(login.user, current.source_of(request).by(*login.amr))
        return _done(request, login.user)
    return _ask(request, login.user)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def lockdown_link(request: HttpRequest, token: str) -> HttpResponse:
    """From the link of a notice, without signing in: the thief may have taken that."""
    notice = notices.find(token)
    if notice is None:
        return render(request, "accounts/lockdown/dead.html", status=404)
    if request.method != "POST":
        return _ask(request, notice.user, notice)
    try:
        # Without the login session of this browser, which may be somebody else's.
        services.lock_down_by_link(notice, token, Source(place_of(request)))
    except services.LinkSpent:
        return render(request, "accounts/lockdown/dead.html", status=404)
    return _done(request, notice.user)


def _ask(request: HttpRequest, user: User, notice: Notice | None = None) -> HttpResponse:
    effects = services.effects(user, notice)
    context = {"owner": user, "told": notice and notice.row, "effects": effects}
    return render(request, "accounts/lockdown/lockdown.html", context)


def _done(request: HttpRequest, user: User) -> HttpResponse:
    current.forget(request, user)
    # As it is now: the address may be gone.
    owner = User.objects.get(pk=user.pk)
    return render(request, "accounts/lockdown/done.html", {"owner": owner})
