"""The pages that list the connected apps of a person and disconnect one, and the logos of apps."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.common import clock
from accounts.common.api import page_of
from accounts.common.pages import form_page
from accounts.oauth import connections
from accounts.oauth.clients import services as clients
from accounts.oauth.models import Connection
from accounts.oauth.scopes import in_words, permissions_at
from accounts.sessions.current import actor_of, session_of

STALE = timedelta(days=90)


@dataclass(frozen=True)
class Row:
    """A connected app as the pages show it. ``app`` is one of ``connections.of``."""

    app: Any

    @property
    def words(self) -> str:
        """A list, in words, of what the app may see and do, and of the services that it uses."""
        agreed = sorted(self.app.agreed, key=lambda row: row.audience)
        scope = {name for row in agreed for name in row.scope.split()}
        others = [row for row in agreed if row.audience not in {"", settings.AUTHSITE.origin}]
        return "; ".join([*in_words(scope), *map(_use_in_words, others)])

    @property
    def is_stale(self) -> bool:
        """Whether the app was last used longer than :data:`STALE` ago."""
        return bool(self.app.used_at < clock.now() - STALE)


def _use_in_words(agreed: Connection) -> str:
    uses = _("uses %(service)s on your behalf") % {"service": agreed.audience}
    acts = ", ".join(permissions_at(agreed.audience, agreed.scope.split()))
    return f"{uses} ({acts})" if acts else uses


@never_cache
@require_safe
def apps(request: HttpRequest) -> HttpResponse:
    """List the connected apps of the signed-in user."""
    page = page_of(request, connections.of(session_of(request).user))
    context = {"page": page, "rows": [Row(app) for app in page]}
    return render(request, "accounts/oauth/apps.html", context)


@form_page
def disconnect(request: HttpRequest, client_id: str) -> HttpResponse:
    """Say what ends if the user disconnects an app; a POST disconnects it."""
    user = session_of(request).user
    app = connections.find_connection(user, client_id)
    if app is None:
        raise Http404
    if request.method != "POST":
        return render(request, "accounts/oauth/disconnect.html", {"row": Row(app)})
    # Nothing is left to do if the user has just disconnected the app in another tab.
    connections.disconnect(user, app.pk, actor_of(request))
    messages.success(request, _("%(app)s was disconnected.") % {"app": app.label})
    return redirect("apps")


@require_safe
def logo(_request: HttpRequest, client_id: str, version: str) -> HttpResponse:
    """Return the logo of an app; the status is 404 if it has changed since ``version``."""
    content = clients.find_logo(client_id, version)
    if content is None:
        raise Http404
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return HttpResponse(content, content_type="image/png", headers=headers)
