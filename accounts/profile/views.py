"""The home page, which gives an overview of the account, and the profile page."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.activity import history
from accounts.activity import services as activity
from accounts.common import clock, localization
from accounts.common.forms import text_input
from accounts.common.localization import speaking, spoken
from accounts.common.pages import form_page
from accounts.profile import services
from accounts.sessions import current
from accounts.sessions.current import actor_of, session_of
from accounts.sessions.services import IS_APP, live
from accounts.signin import recent
from accounts.users.forms import AboutField, DisplayNameField, UsernameField
from accounts.users.models import User
from accounts.users.services import AccountChanged, UsernameTaken


class TimeZoneField(forms.CharField):
    """A field for a time zone, by name or by city. It is empty for the time zone of the device."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Time zone"),
            help_text=_(
                "Enter a city, such as Berlin or New York. If you leave this empty, pages use "
                "your device’s time zone and emails use UTC."
            ),
            required=False,
            widget=text_input("off"),
            **options,
        )

    def prepare_value(self, value: Any) -> str:
        return "" if value == localization.DEFAULT else str(value or "").replace("_", " ")

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        name = localization.canonical_name(typed) if typed else localization.DEFAULT
        if name is None:
            raise ValidationError(_("Enter a large city in your time zone."))
        return name


class ProfileForm(forms.Form):
    """The form for name, description, language and time zone; needs no recent authentication."""

    display_name = DisplayNameField()
    about = AboutField()
    language = forms.ChoiceField(
        label=_("Language"),
        help_text=_("Used on these pages and in our emails to you."),
        choices=settings.LANGUAGES,
        widget=forms.Select({"class": "input", "autocomplete": "language"}),
    )
    time_zone = TimeZoneField()


class RenameForm(forms.Form):
    """The form to change the username."""

    username = UsernameField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("New username")


# The home page shows this many entries, folded from at most so many events.
RECENT, LOOKED_AT = 3, 50


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show how well the account is protected, a suggested next step, and recent events."""
    session = session_of(request)
    user = session.user
    recent = history.entries(activity.of(user)[:LOOKED_AT])[:RECENT]
    checkup = services.checkup(user)
    context = {
        "checkup": checkup,
        "automatic": services.options_of_offer(session, checkup),
        "last_sign_in": services.last_sign_in(user),
        "devices": live(user).exclude(IS_APP).count(),
        "entries": recent,
    }
    return render(request, "accounts/profile/home.html", context)


@form_page
def profile(request: HttpRequest) -> HttpResponse:
    """Show the profile, save it, or change the username after recent authentication."""
    user = session_of(request).user
    if request.method != "POST":
        return _show(request, user)
    return _rename(request, user) if "username" in request.POST else _save(request, user)


def _save(request: HttpRequest, user: User) -> HttpResponse:
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _show(request, user, form=form)
    services.save(user, form.cleaned_data, actor_of(request))
    # The next page shows the message, and is in the language that was just chosen.
    with speaking(form.cleaned_data["language"]):
        messages.success(request, gettext("Your profile was saved."))
    return redirect("profile")


def _rename(request: HttpRequest, user: User) -> HttpResponse:
    form = RenameForm(request.POST)
    if form.is_valid():
        name = form.cleaned_data["username"]
        if not recent.has_recent_authentication(request):
            # The form of the profile page then contains the new username.
            back = f"{reverse('profile')}?{urlencode({'username': name})}"
            return current.redirect_to_reauthenticate(request, back=back)
        try:
            services.rename(user, name, actor_of(request).by(*session_of(request).amr))
            messages.success(request, gettext("Your username is now %(name)s.") % {"name": name})
            return redirect("profile")
        except (services.SameName, UsernameTaken, AccountChanged) as error:
            form.add_error("username", str(error))
    return _show(request, user, rename_form=form)


def _show(
    request: HttpRequest,
    user: User,
    *,
    form: ProfileForm | None = None,
    rename_form: RenameForm | None = None,
) -> HttpResponse:
    wait = services.seconds_to_next_name(user)
    initial = {
        "display_name": user.display_name,
        "about": user.about,
        "language": user.language or spoken(),
        "time_zone": user.time_zone,
    }
    context = {
        "form": form or ProfileForm(initial=initial),
        "rename_form": rename_form or RenameForm(initial={"username": request.GET.get("username")}),
        "rename_at": clock.now() + timedelta(seconds=wait) if wait else None,
    }
    return render(request, "accounts/profile/profile.html", context)
