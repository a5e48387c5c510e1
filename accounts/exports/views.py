"""The page from which people download a copy of their data."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.csp import csp_override

from accounts.activity.services import Actor
from accounts.common.pages import form_page
from accounts.exports import services
from accounts.exports.models import Export
from accounts.sessions.current import actor_of, session_of
from accounts.signin.recent import reauthenticate_first


@form_page
@csp_override(settings.SECURE_CSP_FETCH)
def data(request: HttpRequest) -> HttpResponseBase:
    """Show the progress of the user's export; a POST requests an export, or downloads it once.

    Both require recent authentication, with a second factor if the account has one.
    """
    user, actor = session_of(request).user, actor_of(request)
    if request.method != "POST":
        export = services.latest(user)
        if "progress" in request.GET:
            return JsonResponse(_progress(export))
        return render(request, "accounts/exports/data.html", {"export": export})
    if response := reauthenticate_first(request):
        return response
    try:
        if "download" in request.POST:
            return file_of(services.find(user, request.POST["download"]), actor)
        services.request(user, actor)
    except services.ExportGone as error:
        messages.error(request, str(error))
    return redirect("data")


def _progress(export: Export | None) -> dict[str, int | bool]:
    """Return the progress of ``export`` in the format that ``progress.js`` reads."""
    if export is None or export.made_at:
        return {"isMade": True}
    return {"isMade": False, "done": export.steps_done, "steps": export.steps}


def file_of(export: Export, actor: Actor) -> StreamingHttpResponse:
    """Use up ``export``, and return a response with its file.

    Raises:
        ExportGone: the file was downloaded meanwhile, or is not complete.
    """
    name = f"{export.user.username}-{export.created_at:%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        services.fetch(export, actor),
        content_type="application/zip",
        headers={
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=name),
            "Content-Length": str(export.size),
        },
    )
