"""The second step of a forgotten password: after the link of the mail, before a new password."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.activity.services import Source
from accounts.credentials.services import Reset
from accounts.kernel import clock
from accounts.kernel.places import place_of
from accounts.kernel.proofs import Method, Proof
from accounts.signin import second
from accounts.signin.challenge import LOST, Step, context_of
from accounts.signin.forms import SecondForm
from accounts.twofactor import passkeys, recovery
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import WrongCode

# In the session of the browser that has shown it: for which link, by what, when.
SHOWN = "reset_second"
LIFE = timedelta(minutes=15)


def proofs_of(request: HttpRequest, found: Reset) -> tuple[Proof, ...]:
    """What this browser has shown for that link: the mail, and perhaps a second factor."""
    by_mail = Proof.now(Method.MAIL)
    kept = request.session.get(SHOWN)
    if not kept or kept["subject"] != found.subject:
        return (by_mail,)
    shown = Proof(Method(kept["method"]), datetime.fromisoformat(kept["at"]))
    return (by_mail, shown) if clock.now() < shown.at + LIFE else (by_mail,)


def answer(request: HttpRequest, found: Reset) -> HttpResponse:
    """The page that asks for it, and what a person does there. A mailed code is not offered."""
    step = Step(found.user, (Proof.now(Method.MAIL),))
    source, passkey_error = _source(request), ""
    form = SecondForm(request.POST if "code" in request.POST else None)
    if form.is_valid():
        try:
            proof = second.prove(step.user, step.proofs, form.cleaned_data["code"], source)
            _note(request, found, proof)
            return redirect(request.path)
        except WrongCode as error:
            form.add_error("code", str(error))
    elif "credential" in request.POST:
        try:
            _note(request, found, passkeys.prove(step.user, request.POST["credential"], source))
            return redirect(request.path)
        except passkeys.WrongPasskey as error:
            passkey_error = str(error)
    elif request.POST.get("lost") in LOST:
        return _recover(request, found, request.POST["lost"])
    context = context_of(request, step, form, passkey_error=passkey_error)
    # Nothing to trust: the new password ends the trust in every browser.
    context["trust_days"] = 0
    return render(request, "accounts/credentials/second.html", context)


def _note(request: HttpRequest, found: Reset, proof: Proof) -> None:
    """Only this browser may go on; the key of its session changes with its rights."""
    request.session.cycle_key()
    request.session[SHOWN] = {
        "subject": found.subject,
        "method": proof.method,
        "at": proof.at.isoformat(),
    }


def _recover(request: HttpRequest, found: Reset, act: str) -> HttpResponse:
    if act == "finish":
        twofactor.recover(found.user, _source(request).by(Method.MAIL))
        # The link was mailed for the account as it was before.
        sentence = _("Your second factors were removed. Ask for a new link to set a password.")
        messages.success(request, sentence)
        return redirect("account_reset_password")
    recovery.ask(found.user, _source(request).by(Method.MAIL))
    return redirect(request.path)


def _source(request: HttpRequest) -> Source:
    """Without the login session of this browser, which may be somebody else's."""
    return Source(place_of(request))
