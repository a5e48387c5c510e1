"""Pages to lock an account, object to a recovery, and review the suspended credentials.

Only a POST changes something, because mail scanners follow links with a GET.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.activity import events, notices
from accounts.activity.models import Activity
from accounts.activity.notices import Notice
from accounts.common import clock
from accounts.common.errors import PublicError, RateLimited
from accounts.common.pages import form_page
from accounts.common.text import row_id
from accounts.passwords.forms import CurrentPasswordField
from accounts.recovery import evidence, locks, suspension
from accounts.recovery import services as recovery
from accounts.recovery.locks import InsideLock
from accounts.recovery.rule import Kind
from accounts.sessions import current, last_method
from accounts.signin.recent import recent_authentication_required
from accounts.users import emails, former_credentials
from accounts.users.models import User


class ObjectionForm(forms.Form):
    """Asks for the password that counts as a proof of ownership."""

    former = CurrentPasswordField(required=False, label=_("Your password"))


class WrongChangeForm(forms.Form):
    """Asks which change of the last 30 days was the first that somebody else made.

    The template shows ``changes`` with their times, but no addresses or names, because a former
    mailbox may belong to a thief.
    """

    wrong = forms.ChoiceField(required=False)
    # Shown if the earlier proofs are not sufficient.
    former = CurrentPasswordField(required=False, label=_("Your password before that change"))

    def __init__(self, changes: list[Activity], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs_password = False
        self.changes = {str(row.pk): row for row in changes}
        field = cast(forms.ChoiceField, self.fields["wrong"])
        field.choices = [(key, key) for key in self.changes]

    def wrong_at(self) -> datetime | None:
        """Return the time of the chosen change, or None."""
        row = self.changes.get(self.cleaned_data["wrong"])
        return row.at if row else None


@form_page
@sensitive_post_parameters("former")
@recent_authentication_required
def lockdown(request: HttpRequest) -> HttpResponseBase:
    """Lock the account of the signed-in user, or email a link that locks it.

    This requires recent authentication. Otherwise a thief with a stolen cookie could lock the owner
    out. An owner who cannot reauthenticate can use the link in a notice.
    """
    session, actor = current.session_of(request), current.actor_of(request)
    if "send" in request.POST:
        # If a link was sent less than a minute ago, no other one is needed.
        with suppress(RateLimited):
            locks.send_link(session.user, actor)
        messages.success(request, gettext("We’ve emailed you a link to lock your account."))
        return redirect("lockdown")
    changes = locks.first_changes(session.user)
    form = WrongChangeForm(changes, request.POST if request.method == "POST" else None)
    form.fields["former"].label = gettext("Your password")
    if form.is_valid():
        try:
            former = form.cleaned_data["former"]
            locks.lock_down_from_inside(session, actor, form.wrong_at(), former)
            return _done(request, session.user, session.user.username)
        except (locks.NotEnoughShown, evidence.WrongPassword) as error:
            form.add_error(None, str(error))
    return _ask(request, session.user, form, inside=locks.inside_lock_of(session))


@login_not_required
@form_page
@sensitive_post_parameters("former")
def lockdown_link(request: HttpRequest, token: str) -> HttpResponse:
    """Lock an account with the link in a notice.

    No sign-in is required, because a thief may have made it impossible for the owner to sign in.
    """
    notice = notices.find_notice(token)
    if notice is None:
        return render(request, "accounts/recovery/dead.html", status=404)
    changes = locks.first_changes(notice.user, notice)
    if _name_in(notice) == notice.email:
        # The reader of a former mailbox must not learn of later changes.
        changes = [row for row in changes if row.at <= notice.row.at]
    posted = request.POST if request.method == "POST" else None
    initial = {"wrong": str(notice.row.pk)} if notice.row in changes else {}
    form = WrongChangeForm(changes, posted, initial=initial)
    if not form.is_valid():
        return _ask(request, notice.user, form, notice)
    actor = current.actor_without_session_of(request)
    try:
        wrong_at, former = form.wrong_at() or notice.row.at, form.cleaned_data["former"]
        session = current.request_auth_of(request).session
        locks.lock_down_by_link(notice, token, actor, wrong_at, former, session=session)
    except locks.LinkEnded:
        return render(request, "accounts/recovery/dead.html", status=404)
    except (locks.CannotLock, evidence.WrongPassword) as error:
        form.needs_password = True
        form.add_error(None, str(error))
        return _ask(request, notice.user, form, notice)
    return _done(request, notice.user, _name_in(notice))


def _name_in(notice: Notice) -> str:
    """Return the username; in a notice to a former address, that address instead."""
    is_held = notice.user.emails.filter(key=emails.key(notice.email)).exists()
    return notice.user.username if is_held else notice.email


def _ask(
    request: HttpRequest,
    user: User,
    form: WrongChangeForm,
    notice: Notice | None = None,
    *,
    inside: InsideLock | None = None,
) -> HttpResponse:
    context = {
        "form": form,
        "inside": inside,
        "may_lock": inside is None or inside.is_enough or inside.takes_password,
        "owner": user,
        "username": _name_in(notice) if notice else user.username,
        "told": notice and notice.row,
        "is_asked": notice is not None and notice.row.event is events.LOCK_ASKED,
        "effects": locks.effects(user, notice),
    }
    return render(request, "accounts/recovery/lockdown.html", context)


def _done(request: HttpRequest, user: User, username: str) -> HttpResponse:
    current.forget(request, user)
    last_method.forget(request)
    # Read the user again, because the lock may have changed the primary address.
    owner = User.objects.get(pk=user.pk)
    can_mail = bool(owner.email) or former_credentials.notified_emails(owner).exists()
    context = {"owner": owner, "username": username, "can_mail": can_mail}
    return render(request, "accounts/recovery/done.html", context)


@login_not_required
@form_page
@sensitive_post_parameters("former")
def object_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Object to a recovery with the link in the email about it.

    The link proves access to the mailbox. The page accepts the password as a further proof.
    """
    found = recovery.find_objection(token)
    if found is None:
        return render(request, "accounts/recovery/recovery_dead.html", status=404)
    user, *proofs = found
    actor = current.actor_without_session_of(request)
    form = ObjectionForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            typed = form.cleaned_data["former"]
            # The reader of a mailbox that does not count must not use up the guesses of the owner.
            if typed and recovery.assess(user, *proofs).shown:
                proofs.append(evidence.check_password(user, typed, actor))
            methods = (proof.method for proof in proofs)
            if recovery.cancel(user, *proofs, actor=actor.by(*methods)):
                return render(request, "accounts/recovery/recovery_cancelled.html")
            if recovery.running(user) is None:
                # The recovery request was finished or stopped in the meantime.
                return render(request, "accounts/recovery/recovery_dead.html", status=404)
            sentence = gettext("To stop the request, you also need a passkey or a code.")
            form.add_error(None, sentence)
        except evidence.WrongPassword as error:
            form.add_error("former", str(error))
    assessment = recovery.assess(user, *proofs)
    context = {
        "form": form,
        "owner": user,
        # If the mailbox does not count as a proof, it may belong to a thief, so the page does not
        # show the username.
        "username": user.username if assessment.shown else "",
        "kinds": sorted(assessment.kinds),
        "has_password": Kind.PASSWORD in assessment.kinds,
        "running": assessment.running,
    }
    return render(request, "accounts/recovery/recovery.html", context)


@never_cache
@require_safe
def object_from_inside(request: HttpRequest) -> HttpResponse:
    """Show the current request to a signed-in user, who can stop it with a second factor.

    When the user reauthenticates with the factor, ``accounts.consequences`` stops the request.
    Afterwards, this page says so.
    """
    user = current.session_of(request).user
    if running := recovery.running(user):
        context = {"owner": user, "username": user.username, "running": running, "is_inside": True}
        return render(request, "accounts/recovery/recovery.html", context)
    if recovery.was_stopped(user, since=clock.now() - current.RECENT):
        return render(request, "accounts/recovery/recovery_cancelled.html")
    return render(request, "accounts/recovery/recovery_dead.html", status=404)


@form_page
@recent_authentication_required
def review(request: HttpRequest) -> HttpResponseBase:
    """Show the suspended credentials, which the user can restore or delete.

    Addresses that were removed before the lock can be restored, too.
    """
    session = current.session_of(request)
    if not suspension.may_review(session.user):
        raise Http404
    if request.method == "POST":
        return _review(request, session.user)
    context = {
        "rows": (rows := former_credentials.suspended(session.user)),
        "identities": (identities := suspension.suspended_identities(session.user)),
        "left": len(rows) + len(identities),
        "removed": former_credentials.removed(session.user, former_credentials.Kind.EMAIL),
        "removed_factors": former_credentials.removed(session.user, former_credentials.Kind.FACTOR),
    }
    return render(request, "accounts/recovery/review.html", context)


def _review(request: HttpRequest, user: User) -> HttpResponse:
    actor = current.actor_of(request).by(*current.session_of(request).amr)
    if "done" in request.POST:
        if not suspension.is_reviewed(user):
            messages.error(request, gettext("To finish the review, restore or delete each item."))
            return redirect("review")
        suspension.finish(user, actor)
        return redirect("home")
    acts = {
        "keep": suspension.put_back,
        "delete": suspension.delete,
        "keep_identity": suspension.put_back_identity,
        "delete_identity": suspension.delete_identity,
    }
    act = next((name for name in acts if name in request.POST), None)
    if act is None:
        raise Http404
    try:
        if not acts[act](user, row_id(request.POST.get(act, "")), actor):
            raise Http404
        current.renew_key(request)
        messages.success(request, gettext("Restored.") if "keep" in act else gettext("Deleted."))
    except PublicError as error:
        messages.error(request, str(error))
    return redirect("review")
