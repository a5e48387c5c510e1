"""Pages that list, create and revoke API keys."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.apikeys import services
from accounts.apikeys.models import LONGEST_NAME
from accounts.apikeys.services import GRANTABLE, SUGGESTED_DAYS
from accounts.common import clock
from accounts.common.forms import no_longer_than, text_input
from accounts.common.pages import form_page, typed
from accounts.common.text import refuse_invisible
from accounts.sessions.current import actor_of, session_of
from accounts.signin.recent import recent_authentication_required
from accounts.tokens import scopes

DAYS = (7, 30, SUGGESTED_DAYS, 365)
NEVER = "never"
NOTHING = ""
# The areas of the API to which a key can have access.
AREAS = [area for area in scopes.AREAS if f"{area}:{scopes.READ}" in GRANTABLE]
WORDS = {
    "profile": _("Your names, your username and your email address."),
    "sessions": _("Devices where you’re signed in. “Change” lets the program sign them out."),
    "activity": _("What happened in your account."),
    "apps": _("The apps that you’ve connected. “Change” lets the program disconnect these apps."),
}
PRESETS = {scopes.READ: _("Read only"), scopes.WRITE: _("Everything")}

# A key can only read these areas: it never changes the account, and nobody changes the history.
ONLY_READ = {"profile", "activity"}


class NewKeyForm(forms.Form):
    """Ask for the name, scope and expiry of a new API key."""

    name = forms.CharField(
        error_messages={"required": _("Enter a name for the key.")},
        label=_("Name"),
        help_text=_("For example, the name of the program that will use it."),
        validators=[no_longer_than(LONGEST_NAME), refuse_invisible],
        widget=text_input("off"),
    )
    expires = forms.ChoiceField(
        label=_("Expires"),
        choices=lambda: [
            *((str(days), ngettext_lazy("in %d day", "in %d days", days) % days) for days in DAYS),
            (NEVER, _("never")),
        ],
        initial=str(SUGGESTED_DAYS),
        help_text=_("We’ll email you a week before the key expires."),
        widget=forms.Select({"class": "input", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, preset: str = scopes.READ, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for area in AREAS:
            rights = [scopes.READ] if area in ONLY_READ else [scopes.READ, scopes.WRITE]
            self.fields[area] = forms.ChoiceField(
                label=str(scopes.AREAS[area]),
                # The area of a team's own app has no description.
                help_text=WORDS.get(area, ""),
                choices=[(NOTHING, _("No access")), *((r, scopes.RIGHTS[r]) for r in rights)],
                initial=rights[-1] if preset == scopes.WRITE else scopes.READ,
                required=False,
                widget=forms.RadioSelect,
            )
        self.order_fields(["name", *AREAS, "expires"])

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not any(data.get(area) for area in AREAS) and not self.errors:
            self.add_error(AREAS[0], _("Choose at least one right, here or below."))
        return data

    @property
    def scope(self) -> frozenset[str]:
        """The chosen scopes. A key that may write to an area may also read it."""
        chosen = {area: self.cleaned_data[area] for area in AREAS}
        scope = {f"{area}:{scopes.READ}" for area, right in chosen.items() if right}
        return frozenset(
            scope | {f"{a}:{scopes.WRITE}" for a, right in chosen.items() if right == scopes.WRITE}
        )

    @property
    def expires_at(self) -> datetime | None:
        """When the key expires; None for never."""
        chosen = self.cleaned_data["expires"]
        return None if chosen == NEVER else clock.now() + timedelta(days=int(chosen))


@form_page
def keys(request: HttpRequest) -> HttpResponse:
    """List the API keys of the signed-in user (GET), or revoke one of them (POST).

    ``end`` in the form is the id of the key to revoke. The answer is 404 if the user has no such
    key.
    """
    user = session_of(request).user
    if request.method != "POST":
        context = {"rows": services.of(user), "most": services.MOST}
        return render(request, "accounts/apikeys/keys.html", context)
    if not services.revoke(user, request.POST.get("end", "").replace("\0", ""), actor_of(request)):
        raise Http404
    messages.success(request, gettext("The API key was revoked. It no longer works."))
    return redirect("api_keys")


@form_page
@recent_authentication_required
def new_key(request: HttpRequest) -> HttpResponseBase:
    """Create an API key. Only the response to the POST shows the secret of the key.

    ``?access=write`` preselects every right in the form; the default is to read only.
    """
    preset = request.GET.get("access", scopes.READ)
    posted = request.POST if request.method == "POST" else None
    form = NewKeyForm(posted, preset=preset, initial=typed(request))
    if form.is_valid():
        user, actor = session_of(request).user, actor_of(request)
        try:
            name = form.cleaned_data["name"]
            key, text = services.make(user, name, form.scope, form.expires_at, actor)
            return render(request, "accounts/apikeys/made.html", {"row": key, "key": text})
        except services.TooManyKeys as error:
            form.add_error(None, str(error))
    context = {"form": form, "presets": PRESETS, "preset": preset}
    return render(request, "accounts/apikeys/new.html", context)
