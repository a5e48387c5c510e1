"""The pages of second factors."""

import json
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.activity.services import Actor
from accounts.common.proofs import Method, Proof
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin import flow
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.recent import recent_authentication_required
from accounts.twofactor import codes, trusted_browsers
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import Required, TooMany, WrongCode
from accounts.twofactor.models import Authenticator
from accounts.twofactor_pages import guard, links, qr
from accounts.twofactor_pages.forms import RenameForm, SavedForm, SetupForm
from accounts.twofactor_pages.session_data import CODES, SEED
from accounts.users.models import User
from accounts.users.services import AccountChanged


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show the second factors that one has."""
    user = session_of(request).user
    context = {
        "held": twofactor.held(user),
        "most": twofactor.MOST_AUTHENTICATORS,
        "is_required": twofactor.is_required(user),
        "trusted": trusted_browsers.of(user).count(),
    }
    return render(request, "accounts/twofactor_pages/overview.html", context)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """Add an authenticator: from inside, or between two steps where a factor must be added."""
    away, found = guard.guard(request, Requirement.ENROLMENT)
    return away or _Setup(request, found).answer()


@dataclass(frozen=True)
class _Setup:
    """One request to the page; ``pending`` is the sign-in that requires it, if any."""

    request: HttpRequest
    pending: PendingSignIn | None

    def answer(self) -> HttpResponse:
        form = SetupForm(self.request.POST if self.request.method == "POST" else None)
        seed = SEED.get(self.request, self._user, self._sign_in)
        if seed and form.is_valid():
            try:
                made = self._enrol(seed, form)
                return self._done(made)
            except (WrongCode, TooMany) as error:
                form.add_error("code", str(error))
            except AccountChanged:
                # Most likely this very form, sent twice: it's on, and the codes are there.
                return redirect("recovery_codes")
        if seed is None:
            # What was posted, if anything was, is of a seed that isn't shown any more.
            form, seed = SetupForm(), twofactor.new_seed()
            SEED.put(self.request, self._user, seed, self._sign_in)
        return self._show(form, seed)

    @property
    def _user(self) -> User:
        return self.pending.user if self.pending else session_of(self.request).user

    @property
    def _sign_in(self) -> str:
        """Which sign-in the seed is for: another one in this browser may have its own seed."""
        if self.pending:
            return self.pending.proofs[0].at.isoformat()
        return str(session_of(self.request).pk)

    def _enrol(self, seed: str, form: SetupForm) -> list[str]:
        data = form.cleaned_data
        actor = actor_of(self.request)
        name = data["name"] or _("Authenticator app")
        made = twofactor.enrol(self._user, seed, data["code"], name, actor)
        SEED.drop(self.request)
        return made

    def _done(self, made: list[str]) -> HttpResponse:
        sentence = _("Two-step sign-in is on.") if made else _("The app was added.")
        messages.success(self.request, sentence)
        return guard.after_adding(self.request, self.pending, Method.TOTP, made)

    def _show(self, form: SetupForm, seed: str) -> HttpResponse:
        uri = qr.uri(self._user, seed)
        key = qr.base32(seed)
        context = {
            "form": form,
            "owner": self._user,
            "is_pending": self.pending is not None,
            "is_first": not twofactor.has_any(self._user),
            "next": flow.next_of(self.request),
            "qr": qr.svg(uri),
            "uri": uri,
            "key": " ".join(key[n : n + 4] for n in range(0, len(key), 4)),
        }
        return render(self.request, "accounts/twofactor_pages/setup.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_authentication_required
def authenticator(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Rename or remove one; what removing does is said first."""
    user = session_of(request).user
    row = Authenticator.objects.filter(user=user, pk=factor_id).first()
    if row is None:
        raise Http404
    if "remove" in request.POST:
        return _remove(request, row)
    form = RenameForm(request.POST if request.method == "POST" else {"name": row.name})
    if request.method == "POST" and form.is_valid():
        twofactor.rename(Authenticator, user, row.pk, form.cleaned_data["name"], actor_of(request))
        messages.success(request, _("Renamed."))
        return redirect("second_factors")
    count = twofactor.held(user).count
    context = {
        "form": form,
        "row": row,
        "is_last": count == 1,
        "is_required": twofactor.is_required(user),
    }
    return render(request, "accounts/twofactor_pages/authenticator.html", context)


def _remove(request: HttpRequest, row: Authenticator) -> HttpResponse:
    try:
        twofactor.remove(Authenticator, session_of(request).user, row.pk, _source(request))
    except (Required, AccountChanged) as error:
        messages.error(request, str(error))
        return redirect("second_factors")
    renew_key(request)
    messages.success(request, _("Removed. Every other sign-in has ended."))
    return redirect("second_factors")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponseBase:
    """New ones until one is typed back; after that only how many are left."""
    user = session_of(request).user
    if "new" in request.POST:
        return _new_codes(request)
    held = twofactor.held(user)
    if held.recovery_codes is None and not held.count:
        return redirect("totp_setup")
    made = CODES.get(request, user)
    form = SavedForm(request.POST if "code" in request.POST else None)
    if form.is_valid():
        if twofactor.note_saved(user, form.cleaned_data["code"]):
            CODES.drop(request)
            messages.success(request, _("Your recovery codes are kept. You’re done."))
            return redirect(flow.next_of(request) or "second_factors")
        form.add_error("code", _("That is none of these codes. Look at what you’ve kept."))
    context = {
        "form": form,
        "made": [codes.written(code) for code in json.loads(made)] if made else [],
        "held": held,
        "may_type_back": made or (held.recovery_codes and not held.recovery_codes.saved_at),
        "next": flow.next_of(request),
    }
    return render(request, "accounts/twofactor_pages/recovery_codes.html", context)


@recent_authentication_required
def _new_codes(request: HttpRequest) -> HttpResponse:
    user = session_of(request).user
    if not twofactor.has_any(user):
        return redirect("totp_setup")
    made = twofactor.make_recovery_codes(user, _source(request))
    CODES.put(request, user, json.dumps(made))
    renew_key(request)
    return redirect("recovery_codes")


@never_cache
@require_POST
def codes_file(request: HttpRequest) -> HttpResponse:
    """The codes as a text file, while they are shown. Never by a link: its page would be kept."""
    user = cast(User, request.user)
    made = CODES.get(request, user)
    if made is None:
        return redirect("recovery_codes")
    head = _("Recovery codes of %(name)s at %(site)s (%(origin)s). Each is good once.") % {
        "name": user.username,
        "site": settings.AUTHSITE.site_name,
        "origin": settings.AUTHSITE.origin,
    }
    lines = [head, "", *(codes.written(code) for code in json.loads(made)), ""]
    return HttpResponse(
        "\r\n".join(lines),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="recovery-codes.txt"'},
    )


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enrolment_link(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in by an operator's link, on to the page that adds the missing second factor."""
    user = links.find_by_link(token)
    if user and request.method != "POST":
        return render(request, "accounts/twofactor_pages/link.html", {"owner": user})
    if user and links.spend(user, token):
        return flow.begin(request, user, Proof.now(Method.OPERATOR))
    return render(request, "accounts/twofactor_pages/link_dead.html", status=404)


def _source(request: HttpRequest) -> Actor:
    return actor_of(request).by(*session_of(request).amr)
