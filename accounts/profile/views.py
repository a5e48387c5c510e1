"""The home page, which gives an overview of the account, and the profile page."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.activity import history
from accounts.activity import services as activity
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.localization import speaking, spoken
from accounts.common.pages import form_page, typed
from accounts.profile import pictures, services
from accounts.profile.pictures import BadPicture
from accounts.sessions import current, undo
from accounts.sessions.current import actor_of, session_of
from accounts.sessions.models import LoginSession
from accounts.sessions.services import count_kinds
from accounts.signin import recent
from accounts.users import services as users
from accounts.users.forms import ProfileForm, UsernameField
from accounts.users.models import User
from accounts.users.services import AccountChanged, UsernameTaken


class PictureForm(forms.Form):
    """The form to upload a picture. ``pictures.store`` checks the content of the file."""

    picture = forms.FileField(
        help_text=BadPicture.message,
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
        error_messages=dict.fromkeys(("required", "invalid", "empty"), BadPicture.message),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["picture"].label = _("File")


class RenameForm(forms.Form):
    """The form to change the username."""

    username = UsernameField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("New username")


# The key, in the session data, of the text that was typed before reauthentication.
DRAFT = "profile_draft"
# The home page shows this many entries, combined from at most this many events.
RECENT, LOOKED_AT = 3, 50


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show how well the account is protected, a suggested next step, and recent events."""
    session = session_of(request)
    user = session.user
    checkup, kinds = services.checkup(user), count_kinds(user)
    context = {
        "checkup": checkup,
        # While the account waits for a review, the banner says that the review comes first.
        "step": None if user.horizon else checkup.next_step,
        "automatic": services.options_of_offer(session, checkup),
        "devices": kinds.total() - kinds[LoginSession.Kind.CONNECTED],
        "entries": history.entries(activity.of(user)[:LOOKED_AT])[:RECENT],
    }
    return render(request, "accounts/profile/home.html", context)


@form_page
def profile(request: HttpRequest) -> HttpResponse:
    """Show the profile (GET), or save it or change the username (POST).

    Without recent authentication, a POST changes nothing and redirects to the reauthentication
    page. Afterwards, the form contains the typed text.
    """
    user = session_of(request).user
    if request.method != "POST":
        return _show(request, user, draft=request.session.pop(DRAFT, {}))
    return _rename(request, user) if "username" in request.POST else _save(request, user)


def _form(user: User, *data: Any, **options: Any) -> ProfileForm:
    """Return the form, in which fields that a directory decides are disabled."""
    form = ProfileForm(*data, **options)
    for name in users.DECIDED if users.manager_of(user) else ():
        form.fields[name].disabled, form.fields[name].initial = True, getattr(user, name)
        form.initial.pop(name, None)
    return form


def _save(request: HttpRequest, user: User) -> HttpResponse:
    form = _form(user, request.POST)
    if not form.is_valid():
        return _show(request, user, form=form)
    if not recent.has_recent_authentication(request):
        return _reauthenticate(request, form)
    former = services.save(user, form.cleaned_data, actor_of(request))
    saved = {name: form.cleaned_data[name] for name in former}
    # The message is for the next page, which is in the newly chosen language.
    with speaking(form.cleaned_data["language"]):
        text = gettext("Your profile was saved.")
        if former:
            undo.offer(request, text, "profile", former=former, saved=saved)
        else:
            messages.success(request, text)
    return redirect("profile")


@form_page
def change_picture(request: HttpRequest) -> HttpResponse:
    """Store or remove the picture (POST). Without recent authentication, nothing changes.

    Raises:
        Http404: ``AVATARS`` is off.
    """
    if not pictures.is_on():
        raise Http404
    if request.method != "POST":
        return redirect("profile")
    if not recent.has_recent_authentication(request):
        return current.redirect_to_reauthenticate(request, back=reverse("profile"))
    user, actor = session_of(request).user, actor_of(request)
    if "remove" in request.POST:
        pictures.remove(user, actor)
        messages.success(request, gettext("Your profile picture was removed."))
        return redirect("profile")
    form = PictureForm(files=request.FILES)
    if form.is_valid():
        try:
            pictures.store(user, form.cleaned_data["picture"].read(), actor)
        except BadPicture as error:
            form.add_error("picture", str(error))
        else:
            messages.success(request, gettext("Your profile picture was saved."))
            return redirect("profile")
    return _show(request, user, picture_form=form)


@login_not_required
@require_safe
def picture(_request: HttpRequest, name: str) -> HttpResponse:
    """Return the picture with this name."""
    content = pictures.find(name)
    if content is None:
        return HttpResponseNotFound("Not found.\n", content_type="text/plain; charset=utf-8")
    headers = {
        # Pages of apps show the picture, too. One hour after its removal, no cache has it.
        "Cache-Control": "public, max-age=3600",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return HttpResponse(content, content_type="image/webp", headers=headers)


def _undo(user: User, change: Mapping[str, Any], actor: Actor) -> bool:
    def check(row: User) -> None:
        """Require that ``row`` was not undone by a simultaneous request."""
        if any(getattr(row, name) != value for name, value in change["saved"].items()):
            raise AccountChanged

    with suppress(AccountChanged):
        return bool(services.save(user, change["former"], actor, check=check))
    return False


undo.register("profile", _undo)


def _rename(request: HttpRequest, user: User) -> HttpResponse:
    form = RenameForm(request.POST)
    if form.is_valid():
        if not recent.has_recent_authentication(request):
            return _reauthenticate(request, form)
        name = form.cleaned_data["username"]
        try:
            services.rename(user, name, actor_of(request).by(*session_of(request).amr))
            messages.success(request, gettext("Your username is now %(name)s.") % {"name": name})
            return redirect("profile")
        except (services.SameName, UsernameTaken, AccountChanged) as error:
            form.add_error("username", str(error))
    return _show(request, user, rename_form=form)


def _reauthenticate(request: HttpRequest, form: forms.Form) -> HttpResponse:
    """Store the text of the valid ``form``, and ask the user to reauthenticate."""
    request.session[DRAFT] = form.cleaned_data
    return current.redirect_to_reauthenticate(request)


def _show(
    request: HttpRequest,
    user: User,
    *,
    form: ProfileForm | None = None,
    rename_form: RenameForm | None = None,
    picture_form: PictureForm | None = None,
    draft: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the page.

    ``draft``: the text that was typed before the user reauthenticated. The user must send it again,
        because somebody else may have typed it.
    """
    if draft:
        messages.warning(
            request, gettext("These changes aren’t saved yet. Check the form and save it.")
        )
    wait = services.seconds_to_next_name(user)
    initial = {name: getattr(user, name) for name in ProfileForm.base_fields}
    initial["language"] = initial["language"] or spoken()
    shown = initial | dict(draft or {}) | typed(request)
    context = {
        "form": form or _form(user, initial=shown),
        "manager": users.manager_of(user),
        "rename_form": rename_form or RenameForm(initial=shown),
        "has_pictures": pictures.is_on(),
        "picture": pictures.url_of(user),
        "picture_form": picture_form or PictureForm(),
        "rename_at": clock.now() + timedelta(seconds=wait) if wait else None,
    }
    return render(request, "accounts/profile/profile.html", context)
