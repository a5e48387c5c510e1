"""The page of a person's addresses."""

import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.codes import services as codes
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.emails import services
from accounts.emails.forms import AddEmailForm, CodeForm
from accounts.emails.models import PendingEmail
from accounts.sessions import reauthentication
from accounts.sessions.current import actor_of
from accounts.signin import recent
from accounts.users.models import User
from accounts.users.services import AccountChanged

type Act = Callable[[HttpRequest, User], HttpResponse]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: HttpRequest) -> HttpResponseBase:
    """See them; add one, confirm it, make it primary, remove it. Changes need a fresh proof."""
    user = cast(User, request.user)
    if request.method != "POST":
        return _show(request, user)
    if "confirm" in request.POST:
        return _confirm(request, user)
    if not recent.is_recent(request):
        return _ask_for_proof(request)
    act = next((act for name, act in ACTS.items() if name in request.POST), _add)
    try:
        return act(request, user)
    except AccountChanged as error:
        messages.error(request, str(error))
        return redirect("account_email")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_link(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm by the link of the mail; by POST only, and by who has asked for it only."""
    row = services.find_by_link(cast(User, request.user), key)
    if row is None:
        return render(request, "accounts/emails/dead.html", status=404)
    if request.method != "POST":
        return render(request, "accounts/emails/confirm.html", {"email": row.email})
    try:
        services.confirm_by_link(row, key, actor_of(request))
    except services.WrongCode:
        return render(request, "accounts/emails/dead.html", status=404)
    return _done(request, _("The address was added."))


def _ask_for_proof(request: HttpRequest) -> HttpResponse:
    """The proof, and back to the page with what was typed still in it."""
    typed = request.POST.get("email")
    if not typed:
        return reauthentication.redirect_to_reauthenticate(request)
    back = f"{request.path}?{urlencode({'email': typed})}"
    return redirect_to_login(back, reverse("account_reauthenticate"))


def _add(request: HttpRequest, user: User) -> HttpResponse:
    form = AddEmailForm(request.POST)
    if form.is_valid():
        try:
            services.add(user, form.cleaned_data["email"], client_of(request))
            return _done(request, _("A mail with a code is on its way to the new address."))
        except (services.OwnEmail, services.TooManyEmails) as error:
            form.add_error("email", str(error))
    return _show(request, user, form=form)


def _confirm(request: HttpRequest, user: User) -> HttpResponse:
    row = services.pending(user).filter(pk=_uuid(request, "confirm")).first()
    if row is None:
        raise Http404
    form = CodeForm(request.POST, auto_id=f"id_{row.pk}_%s")
    if form.is_valid():
        try:
            services.confirm_by_code(row, form.cleaned_data["code"], actor_of(request))
            return _done(request, _("The address was added."))
        except codes.UsedUp:
            send = partial(services.add, user, row.email, client_of(request))
            messages.warning(request, codes.renewed(send))
            return redirect("account_email")
        except services.WrongCode as error:
            form.add_error("code", str(error))
    return _show(request, user, tried=(row, form))


def _again(request: HttpRequest, user: User) -> HttpResponse:
    row = services.pending(user).filter(pk=_uuid(request, "again")).first()
    if row is None:
        raise Http404
    services.add(user, row.email, client_of(request))
    return _done(request, _("Another mail is on its way."))


def _cancel(request: HttpRequest, user: User) -> HttpResponse:
    services.cancel(user, _uuid(request, "cancel"))
    return redirect("account_email")


def _make_primary(request: HttpRequest, user: User) -> HttpResponse:
    return _change(request, user, "primary", services.make_primary, _("%(email)s is primary now."))


def _remove(request: HttpRequest, user: User) -> HttpResponse:
    return _change(request, user, "remove", services.remove, _("%(email)s was removed."))


def _change(
    request: HttpRequest, user: User, name: str, act: Callable[..., object], sentence: str
) -> HttpResponse:
    number = request.POST[name]
    # Longer ones are no numbers to a database.
    email_id = int(number) if re.fullmatch(r"[0-9]{1,18}", number) else 0
    try:
        row = act(user, email_id, actor_of(request))
    except PublicError as error:
        messages.error(request, str(error))
        return redirect("account_email")
    return _done(request, sentence % {"email": row})


ACTS: dict[str, Act] = {
    "again": _again,
    "cancel": _cancel,
    "primary": _make_primary,
    "remove": _remove,
}


def _uuid(request: HttpRequest, name: str) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST[name])
    except ValueError:
        raise Http404 from None


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect("account_email")


def _show(
    request: HttpRequest,
    user: User,
    *,
    form: AddEmailForm | None = None,
    tried: tuple[PendingEmail, CodeForm] | None = None,
) -> HttpResponse:
    waiting = [
        {
            "row": row,
            "form": tried[1] if tried and tried[0] == row else CodeForm(auto_id=f"id_{row.pk}_%s"),
            "wait": services.seconds_to_next_mail(row),
        }
        for row in services.pending(user)
    ]
    context = {
        "addresses": user.emails.order_by("confirmed_at"),
        "waiting": waiting,
        "form": form or AddEmailForm(initial={"email": request.GET.get("email")}),
    }
    return render(request, "accounts/emails/email.html", context)
