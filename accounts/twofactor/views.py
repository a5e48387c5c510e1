"""Pages of second factors: authenticator apps, recovery codes, passkeys and enrolment links."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.generic import View

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.localization import date_in_words, days_in_words
from accounts.common.pages import absolute, form_page
from accounts.common.proofs import FEW_RECOVERY_CODES, Method, Proof
from accounts.common.text import row_id
from accounts.recovery.locks import Access
from accounts.sessions import undo
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin import flow, policy
from accounts.signin.policy import Requirement
from accounts.signin.recent import ANEW, recent_authentication_required
from accounts.twofactor import adding, models, passkeys, services, trusted_browsers
from accounts.twofactor.adding import CODES, SEED, AddFactorView, codes_page
from accounts.twofactor.errors import (
    NoFactor,
    OnlyPasskeyLeft,
    Required,
    TooManyFactors,
    WrongFactorCode,
    WrongPasskey,
)
from accounts.twofactor.forms import OptionalNameForm, RenameForm, SavedForm, SetupForm
from accounts.twofactor.models import Authenticator, Passkey
from accounts.twofactor.webauthn import rp_id
from accounts.users.models import User
from accounts.users.services import AccountChanged


@method_decorator([form_page, recent_authentication_required], name="dispatch")
class FactorView(View):
    """Rename or remove one second factor of the signed-in user.

    The page explains the effects of the removal, or why the factor cannot be removed.
    """

    model: type[Authenticator] | type[Passkey]
    template_name: str
    factor: Authenticator | Passkey

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user, factor_id = session_of(request).user, kwargs["factor_id"]
        factor = self.model.objects.filter(user=user, pk=factor_id).first()
        if factor is None:
            raise Http404
        self.factor = factor
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, factor_id: int) -> HttpResponse:
        return self.show(RenameForm({"name": self.factor.name}))

    def post(self, request: HttpRequest, factor_id: int) -> HttpResponse:
        if "remove" in request.POST:
            return self.remove()
        form = RenameForm(request.POST)
        return self.rename(form.cleaned_data["name"]) if form.is_valid() else self.show(form)

    def show(self, form: RenameForm) -> HttpResponse:
        """Return the page, with the errors of ``form``."""
        user = session_of(self.request).user
        context = {
            "form": form,
            "row": self.factor,
            "refusal": services.refusal_of_removal(user, self.factor),
            "is_last": services.is_last(user, self.factor),
            "access": Access(user, session_of(self.request).pk),
        }
        return render(self.request, self.template_name, context)

    def rename(self, name: str) -> HttpResponse:
        """Give the factor another name."""
        user, actor = session_of(self.request).user, actor_of(self.request)
        services.rename(self.model, user, self.factor.pk, name, actor)
        change = {"factor_id": self.factor.pk, "name": self.factor.name, "name_before": name}
        undo.offer(self.request, _("Renamed."), self.model.__name__, **change)
        return redirect("second_factors")

    def remove(self) -> HttpResponse:
        """Remove the factor, which revokes every other session."""
        session = session_of(self.request)
        actor = actor_of(self.request).by(*session.amr)
        try:
            services.remove(self.model, session.user, self.factor.pk, actor)
        except (Required, OnlyPasskeyLeft, AccountChanged) as error:
            messages.error(self.request, str(error))
        else:
            renew_key(self.request)
            sentence = _("“%(name)s” was removed. You’ve been signed out everywhere else.")
            messages.success(self.request, sentence % {"name": self.factor.name})
        return redirect("second_factors")


def _undo_renaming(
    kind: type[Authenticator] | type[Passkey], user: User, change: Mapping[str, Any], actor: Actor
) -> bool:
    return services.rename(kind, user, actor=actor, **change)


for kind in (Authenticator, Passkey):
    undo.register(kind.__name__, partial(_undo_renaming, kind))


def base32(seed: str) -> str:
    """Return the hexadecimal ``seed`` in base32, which people can type (RFC 4648 section 6)."""
    return base64.b32encode(bytes.fromhex(seed)).decode()


def otpauth_uri(user: User, seed: str) -> str:
    """Return the percent-encoded ``otpauth:`` URI that adds ``user`` to an authenticator app."""
    # A colon separates issuer and account in the label.
    issuer = settings.AUTHSITE.site_name.replace(":", "")
    label = f"{quote(issuer, safe='')}:{quote(user.email or user.username, safe='@')}"
    query = {
        "secret": base32(seed),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": 6,
        "period": 30,
    }
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"


def svg(text: str) -> SafeString:
    """Return a QR code of ``text`` as inline SVG.

    It is black on white in dark mode too. It needs neither ``style`` nor ``data:``, which the
    Content Security Policy blocks. Its alternative text does not contain the secret ``text``.
    """
    import qrcode  # noqa: PLC0415 only the page with the QR code needs it
    from qrcode.image.svg import SvgPathFillImage  # noqa: PLC0415 as above

    # A screen shows the code undamaged, so the lowest error correction is sufficient.
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, image_factory=SvgPathFillImage)
    code.add_data(text)
    label = _(
        "QR code for adding this account to an authenticator app. You can enter the key beside the "
        "code instead."
    )
    attributes: dict[str, Any] = {"class": "qr", "role": "img", "aria-label": label}
    image = code.make_image(**attributes)
    return mark_safe(image.to_string(encoding="unicode"))  # noqa: S308 the library escapes text


@form_page
def overview(request: HttpRequest) -> HttpResponse:
    """Show the second factors of the signed-in user, and tell the browser which passkeys exist.

    A POST ends the trust in one browser or in all.
    """
    user = session_of(request).user
    if request.method == "POST":
        return _end_trust(request, user)
    held = services.held(user)
    context = {
        "held": held,
        "few_codes": FEW_RECOVERY_CODES,
        "most_codes": models.COUNT,
        "most_apps": services.MOST_AUTHENTICATORS,
        "most_passkeys": passkeys.MOST_PASSKEYS,
        "may_mail": policy.may_use_emailed_codes(user),
        "trusted": trusted_browsers.of(user),
        "here": trusted_browsers.here(request, user).first(),
        "trust_days": settings.AUTHSITE.trusted_browser_days,
        "signal": _signal(user, [*held.passkeys, *held.unconfirmed]),
    }
    return render(request, "accounts/twofactor/overview.html", context)


def _end_trust(request: HttpRequest, user: User) -> HttpResponse:
    one = None if "all" in request.POST else row_id(request.POST.get("end", ""))
    if trusted_browsers.end(user, actor_of(request), one):
        messages.success(
            request, _("We’ll ask for the second step again in browsers that you no longer trust.")
        )
    return redirect("second_factors")


def _signal(user: User, rows: list[Passkey]) -> str:
    """Return the options for the Signal API (WebAuthn Level 3, section 5.1.10)."""
    options: dict[str, Any] = passkeys.options_to_add(user)["user"]
    return json.dumps(
        {
            "rpId": rp_id(),
            "userId": options["id"],
            "name": options["name"],
            "displayName": options["displayName"],
            # Suspended passkeys are included, because they may be restored.
            "accepted": [row.credential_id for row in rows] + passkeys.suspended_ids(user),
        }
    )


@form_page
@recent_authentication_required
def emailed_codes(request: HttpRequest) -> HttpResponseBase:
    """Turn emailed codes for the second step on or off, or ask whether to do so."""
    session = session_of(request)
    if not policy.may_use_emailed_codes(session.user):
        return redirect("second_factors")
    if request.method != "POST":
        return render(request, "accounts/twofactor/emailed_codes.html")
    is_on = request.POST.get("emailed_codes") == "on"
    on, off = _("Emailed codes are on."), _("Emailed codes are off.")
    try:
        services.set_emailed_codes(session.user, actor_of(request).by(*session.amr), is_on=is_on)
        messages.success(request, on if is_on else off)
    except AccountChanged as error:
        messages.error(request, str(error))
    return redirect("second_factors")


class AddAuthenticatorView(AddFactorView):
    """Add an authenticator app, in a session or in a pending sign-in that requires a factor."""

    requirements = (Requirement.ENROLMENT,)

    def _refuse(self, request: HttpRequest) -> HttpResponse | None:
        refusal = super()._refuse(request)
        if (
            not refusal
            and self.pending
            and policy.must_enrol_passkey(self.user, self.pending.proofs)
        ):
            return redirect("passkey_add")
        return refusal

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(SetupForm(), SEED.get(request, self.user, self.sign_in_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        seed = SEED.get(request, self.user, self.sign_in_id)
        if seed is None:
            # The posted code belongs to a seed that is no longer shown.
            return self.show(SetupForm(), None)
        form = SetupForm(request.POST)
        if form.is_valid():
            try:
                return self.enrol(seed, form.cleaned_data["code"], form.cleaned_data["name"])
            except (WrongFactorCode, TooManyFactors) as error:
                form.add_error("code", str(error))
            except AccountChanged:
                # Most likely the same form was sent twice, so the app and the codes already exist.
                return redirect("recovery_codes")
        return self.show(form, seed)

    @property
    def sign_in_id(self) -> str:
        """The id of the sign-in or session to which the seed in the session data belongs."""
        if self.pending:
            return self.pending.proofs[0].at.isoformat()
        return str(session_of(self.request).pk)

    def enrol(self, seed: str, code: str, name: str) -> HttpResponse:
        """Add the authenticator app under ``name``, and redirect to the next page.

        Raises:
            WrongFactorCode: ``code`` is not the current code of an app with this ``seed``.
            TooManyFactors: the account has as many authenticator apps as allowed.
            AccountChanged: the account was changed after it was read from the database.
        """
        made = services.enrol(self.user, seed, code, name, actor_of(self.request))
        SEED.pop(self.request)
        sentence = _("Two-step verification is on.") if made else _("The app was added.")
        messages.success(self.request, sentence)
        return self.resume(Method.TOTP, made)

    def show(self, form: SetupForm, seed: str | None) -> HttpResponse:
        """Return the page with the errors of ``form``, and with a new seed if there is none."""
        if seed is None:
            seed = services.new_seed()
            SEED.put(self.request, self.user, seed, self.sign_in_id)
        uri, key = otpauth_uri(self.user, seed), base32(seed)
        context = {
            "form": form,
            "qr": svg(uri),
            "uri": uri,
            "key": " ".join(key[n : n + 4] for n in range(0, len(key), 4)),
        }
        return self.page("accounts/twofactor/setup.html", context)


class AuthenticatorView(FactorView):
    """Rename or remove an authenticator app."""

    model = Authenticator
    template_name = "accounts/twofactor/authenticator.html"


@form_page
def recovery_codes(request: HttpRequest) -> HttpResponseBase:
    """Show new recovery codes once and ask for one of them, or say how many codes are left."""
    user = session_of(request).user
    if "new" in request.POST:
        return _new_codes(request)
    held = services.held(user)
    if held.recovery_codes is None and not held.count:
        return redirect("totp_setup")
    shown = CODES.pop(request) if request.method == "GET" else request.POST.get("shown", "")
    made = CODES.open(shown, user)
    form = SavedForm(
        request.POST if "code" in request.POST else None, accepts=partial(services.note_saved, user)
    )
    if form.is_valid():
        messages.success(request, _("Your codes are saved, and two-step verification is on."))
        return redirect(flow.next_of(request) or "second_factors")
    context = {
        "form": form,
        "made": [models.written(code) for code in json.loads(made)] if made else [],
        "shown": shown if made else "",
        "held": held,
        "most_codes": models.COUNT,
        "origin": settings.AUTHSITE.origin,
        "access": Access(user, session_of(request).pk),
        "may_type_back": made or (held.recovery_codes and not held.recovery_codes.saved_at),
        "next": flow.next_of(request),
    }
    return render(request, "accounts/twofactor/recovery_codes.html", context)


@recent_authentication_required
def _new_codes(request: HttpRequest) -> HttpResponse:
    user = session_of(request).user
    actor = actor_of(request).by(*session_of(request).amr)
    try:
        made = services.make_recovery_codes(user, actor)
    except NoFactor:
        return redirect("totp_setup")
    CODES.put(request, user, json.dumps(made))
    renew_key(request)
    return redirect("recovery_codes")


@never_cache
@require_POST
def codes_file(request: HttpRequest) -> HttpResponse:
    """Return the recovery codes that a page shows, as a text file.

    Only a POST is accepted, because browsers may cache the response to a GET.
    """
    user = cast(User, request.user)
    made = CODES.open(request.POST.get("shown", ""), user)
    if made is None:
        return redirect("recovery_codes")
    head = _(
        "Recovery codes for %(name)s at %(site)s (%(origin)s), %(date)s. Each code works once."
    ) % {
        "name": user.username,
        "site": settings.AUTHSITE.site_name,
        "origin": settings.AUTHSITE.origin,
        "date": date_in_words(clock.now()),
    }
    lines = [head, "", *(models.written(code) for code in json.loads(made)), ""]
    return HttpResponse(
        "\r\n".join(lines),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="recovery-codes.txt"'},
    )


class AddPasskeyView(AddFactorView):
    """Add a passkey, in a session or in a pending sign-in that requires a factor."""

    requirements = (Requirement.ENROLMENT, Requirement.PASSKEY)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(OptionalNameForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OptionalNameForm(request.POST)
        if "credential" not in request.POST or not form.is_valid():
            return self.show(form)
        credential, name = request.POST["credential"], form.cleaned_data["name"]
        try:
            made = passkeys.add(self.user, credential, name, actor_of(request))
            messages.success(request, _("The passkey was added."))
            return self.resume(Method.PASSKEY, made)
        except PublicError as error:
            return self.show(form, passkey_error=str(error))

    def show(self, form: OptionalNameForm, *, passkey_error: str = "") -> HttpResponse:
        """Return the page, with the errors of ``form`` or of a passkey."""
        context = {
            "form": form,
            "passkey_error": passkey_error,
            "must_be_passkey": services.needs_passkey(self.user),
            "options": json.dumps(passkeys.options_to_add(self.user)),
        }
        return self.page("accounts/twofactor/passkey_add.html", context)


class PasskeyView(FactorView):
    """Rename or remove a passkey."""

    model = Passkey
    template_name = "accounts/twofactor/passkey.html"


@login_not_required
@require_safe
def passkey_endpoints(_request: HttpRequest) -> JsonResponse:
    """Return the URLs where passkeys are added and managed (W3C, Passkey Endpoints)."""
    return JsonResponse({"enroll": absolute("passkey_add"), "manage": absolute("passkeys")})


@form_page
def offer_passkey(request: HttpRequest) -> HttpResponse:
    """Handle the two forms of the passkey offer on the home page.

    One form sends a passkey that the browser has created by itself. The other one says "Not now". A
    passkey that arrives too late or is not valid is ignored without a message, because the user did
    not ask for it.
    """
    session = session_of(request)
    if "not_now" in request.POST:
        passkeys.decline(session.user)
        days = days_in_words(passkeys.DECLINED.days)
        text = _("You won’t see this suggestion for %(days)s.") % {"days": days}
        undo.offer(request, text, "decline")
    elif "credential" in request.POST and policy.may_make_passkey(session):
        actor = actor_of(request).by(*session.amr)
        with suppress(PublicError):
            passkeys.add_automatic(session.user, request.POST["credential"], actor)
            messages.success(
                request, _("Your browser saved a passkey. You can now use it to sign in.")
            )
    return redirect("home")


undo.register("decline", lambda user, _change, _actor: passkeys.reconsider(user))


@form_page
@recent_authentication_required
def confirm_passkey(request: HttpRequest, factor_id: int) -> HttpResponseBase:
    """Turn an unconfirmed passkey into a second factor.

    The user must first show the passkey, because a thief may have created it after a sign-in with a
    stolen password. If the account has no second factor yet, the user must then save recovery
    codes. They are stored only when the user types one of them, so that two-step verification never
    begins without saved codes.
    """
    session = session_of(request)
    user = session.user
    if not policy.may_enrol(session):
        return render(request, ANEW, status=403)
    row = get_object_or_404(Passkey, user=user, pk=factor_id, confirmed=False)
    held = services.held(user)
    if held.count and not (held.recovery_codes and held.recovery_codes.saved_at):
        return redirect(codes_page(request.path))
    proved, *shown = json.loads(CODES.open(request.POST.get("shown", ""), user) or "[]") or [0]
    if proved == row.pk:
        form = SavedForm(request.POST, accepts=shown.__contains__)
        if form.is_valid():
            return _confirm(request, row, shown)
        return _show_unconfirmed(request, row, form, shown)
    try:
        if "credential" not in request.POST:
            return _show_unconfirmed(request, row)
        passkeys.check_unconfirmed(row, request.POST["credential"], actor_of(request))
    except WrongPasskey as error:
        return _show_unconfirmed(request, row, passkey_error=str(error))
    if held.count:
        return _confirm(request, row, [])
    return _show_unconfirmed(request, row, SavedForm(accepts=bool), models.new_recovery_codes())


def _show_unconfirmed(
    request: HttpRequest,
    row: Passkey,
    form: SavedForm | None = None,
    made: Sequence[str] = (),
    *,
    passkey_error: str = "",
) -> HttpResponse:
    """Return the page that asks for the passkey ``row``; with ``made``, for a recovery code.

    ``made``: new recovery codes, which the page shows. Its form sends them back encrypted, together
        with the id of the passkey, because the user has already shown it.
    """
    session = session_of(request)
    context = {
        "form": form,
        "row": row,
        "made": [models.written(code) for code in made],
        "made_at": clock.now(),
        "shown": CODES.seal(session.user, json.dumps([row.pk, *made])) if made else "",
        "passkey_error": passkey_error,
        "passkey_options": "" if made else json.dumps(passkeys.options_to_confirm(row)),
        "origin": settings.AUTHSITE.origin,
        "access": Access(session.user, session.pk),
    }
    return render(request, "accounts/twofactor/passkey_confirm.html", context)


def _confirm(request: HttpRequest, row: Passkey, saved: list[str]) -> HttpResponse:
    session = session_of(request)
    actor = actor_of(request).by(*session.amr)
    try:
        passkeys.confirm(session.user, row.pk, saved, actor)
        renew_key(request)
        messages.success(request, _("Two-step verification is on."))
    except AccountChanged as error:
        messages.error(request, str(error))
    return redirect("second_factors")


@login_not_required
@form_page
def enrolment_link(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in with an enrolment link, and continue with adding the missing second factor."""
    user = adding.find_user_by_link(token)
    if user and request.method != "POST":
        return render(request, "accounts/twofactor/link.html", {"owner": user})
    if user and adding.redeem(user, token):
        return flow.start_sign_in(request, user, Proof.now(Method.OPERATOR))
    return render(request, "accounts/twofactor/link_dead.html", status=404)
