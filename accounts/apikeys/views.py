"""Pages that list, create and revoke API keys."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.apikeys import services
from accounts.apikeys.forms import NewKeyForm
from accounts.common.pages import form_page
from accounts.sessions.current import actor_of, session_of
from accounts.signin.recent import recent_authentication_required


@form_page
def keys(request: HttpRequest) -> HttpResponse:
    """List the API keys of the signed-in user; revoke one."""
    user = session_of(request).user
    if request.method != "POST":
        context = {"rows": services.of(user), "most": services.MOST}
        return render(request, "accounts/apikeys/keys.html", context)
    if not services.revoke(user, request.POST.get("end", "").replace("\0", ""), actor_of(request)):
        raise Http404
    messages.success(request, _("The API key was removed. It no longer works."))
    return redirect("api_keys")


@form_page
@recent_authentication_required
def new_key(request: HttpRequest) -> HttpResponseBase:
    """Create an API key. Only the response to the POST shows its secret."""
    form = NewKeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        user, actor = session_of(request).user, actor_of(request)
        try:
            name = form.cleaned_data["name"]
            key, text = services.make(user, name, form.scope, form.expires_at, actor)
            return render(request, "accounts/apikeys/made.html", {"row": key, "key": text})
        except services.TooManyKeys as error:
            form.add_error(None, str(error))
    return render(request, "accounts/apikeys/new.html", {"form": form})
