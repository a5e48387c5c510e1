"""The pages by which staff act on the accounts of others, on one or on many at once."""

import uuid
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import Action, ActionLocation
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.activity import history
from accounts.administration import acts, bulk, person, search, steps
from accounts.administration.acts import ACTS, Act
from accounts.administration.bulk import STOPS, NobodyToActOn
from accounts.administration.models import BulkAct
from accounts.administration.person import Account, Facts
from accounts.administration.roles import NotInRole
from accounts.administration.search import states_of
from accounts.administration.steps import Mode
from accounts.common.errors import PublicError
from accounts.common.pages import page_of
from accounts.sessions.current import actor_of
from accounts.signin.adminsite import ReasonForm
from accounts.users.models import User
from accounts.users.rights import ACTING, role_of

MODES = {
    "": gettext_lazy("Choose when"),
    Mode.NOW: gettext_lazy("Now"),
    Mode.WAIT: gettext_lazy("After the waiting period"),
}


def _select() -> forms.Select:
    return forms.Select({"class": "input"})


class ActForm(ReasonForm):
    """Asks for the reason of an act and, where the act needs them, for its target and its mode.

    Only a form that was sent is rendered by Django: it shows what was sent, and the errors.
    """

    field_order = ("target", "mode", "reason")
    target = forms.ChoiceField(label=gettext_lazy("Which"), required=False, widget=_select())
    # No mode is preselected, so that nobody removes factors immediately by oversight.
    mode = forms.ChoiceField(label=gettext_lazy("When"), widget=_select())

    def __init__(self, offer: "Offer", data: Any) -> None:
        super().__init__(data, auto_id=f"{offer.act.name}_%s")
        for name, choices in (("target", offer.targets), ("mode", offer.modes)):
            if choices:
                cast(forms.ChoiceField, self.fields[name]).choices = choices
            else:
                del self.fields[name]


class Offer:
    """An act that staff can do, with its form, for the page about a user.

    ``targets`` and ``modes``: the choices of the form; empty if the act needs none.
    ``form``: the form that was sent, if any.
    """

    def __init__(self, act: Act, facts: Facts, url: str, data: Any = None) -> None:
        self.act, self.url = act, url
        everything = [("", str(act.everything))] if act.everything else []
        self.targets = [*everything, *((each.value, each.label) for each in act.targets(facts))]
        may_wait = act.has_modes and steps.may_wait(facts)
        modes = MODES.items() if act.has_modes else ()
        self.modes = [(mode, label) for mode, label in modes if may_wait or mode != Mode.WAIT]
        self.form = None if data is None else ActForm(self, data)


def context_of(staff: User, facts: Facts) -> dict[str, Any]:
    """Return the template context for the acts that ``staff`` can do on the account."""
    role, offers, refusal = role_of(staff), [], ""
    try:
        offers = [
            Offer(act, facts, reverse("admin:accounts_user_act", args=[facts.account.pk, act.name]))
            for act in acts.acts_for(staff, facts)
        ]
    except NotInRole:
        refusal = _("You can read this page, but not change the account.")
    except PublicError as error:
        refusal = str(error)
    return {"role": history.ROLES[role] if role else "", "offers": offers, "refusal": refusal}


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, id: uuid.UUID, name: str) -> HttpResponse:
    """Show the form of an act; if the form is valid, do the act."""
    staff = cast(User, request.user)
    account, wanted = search.find_account(str(id)), ACTS.get(name)
    if wanted is None or not (wanted.for_signups or isinstance(account, User)):
        raise Http404
    sent = request.POST if request.method == "POST" else None
    offer = Offer(wanted, Facts(account), request.path, sent)
    refusal = None
    try:
        wanted.check(staff, account)
        if isinstance(account, User):
            # The form names the addresses, sessions and factors of the user.
            person.record_page_view(account, staff, actor_of(request))
        if offer.form and offer.form.is_valid():
            data = offer.form.cleaned_data
            done = wanted.sentence(Facts(account), data.get("target", ""), data.get("mode", ""))
            acts.perform(name, staff, actor_of(request), account, **data)
            messages.success(request, done)
            return _back_to(account)
    except PublicError as error:
        refusal = error
    context = {
        **admin.site.each_context(request),
        "opts": User._meta,
        "title": wanted.label,
        "original": account,
        "email": "" if refusal else person.email_for(staff, account),
        "states": () if refusal or not isinstance(account, User) else search.states_of_one(account),
        "offer": offer,
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "admin/accounts/user/act.html", context, status=status)


def _back_to(account: Account) -> HttpResponse:
    """Redirect to the page about the user, or to the list if the sign-up is unconfirmed."""
    if User.objects.filter(pk=account.pk).exists():
        return redirect("admin:accounts_user_change", account.pk)
    return redirect("admin:accounts_user_changelist")


LIST = "admin:accounts_user_changelist"


def actions_for(staff: User) -> dict[str, Action]:
    """Return the bulk acts that ``staff`` can do, as Django's admin describes actions."""
    if role_of(staff) not in ACTING:
        return {}
    return {
        name: Action(_prepare, name, str(kind.label), str(kind.label), [ActionLocation.CHANGE_LIST])
        for name, kind in bulk.KINDS.items()
    }


def _prepare(_admin: Any, request: HttpRequest, people: QuerySet[User]) -> HttpResponse:
    """Store the people whom the chosen act concerns, and redirect to the page of the bulk act."""
    try:
        staff, actor = cast(User, request.user), actor_of(request)
        prepared = bulk.prepare(request.POST["action"], staff, actor, people)
    except NobodyToActOn as error:
        messages.error(request, str(error))
        return redirect(request.get_full_path())
    return redirect("admin:accounts_user_bulk_act", prepared.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def bulk_act(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Show a bulk act. A POST starts, continues, stops or undoes it."""
    found = bulk.find_bulk_act(cast(User, request.user), pk=id)
    if found is None:
        raise Http404
    form = ReasonForm(request.POST if "reason" in request.POST else None)
    undo = bulk.KINDS[found.act].undo if found.ended_at else ""
    if undo and request.POST.get("action") == undo:
        done = found.people.filter(outcome=bulk.DONE).values("user")
        return _prepare(None, request, User.objects.filter(pk__in=done))
    if request.method == "POST" and _do(request, found, form):
        return redirect(request.path)
    outcomes = bulk.outcomes(found)
    rows = found.people.order_by("outcome", "user__username_key", "pk")
    people = page_of(request, lambda: rows.select_related("user"))
    states = states_of([row.user_id for row in people])
    kind, progress = bulk.KINDS[found.act], _progress(found, outcomes)
    title = _label(found.act, progress["concerned"])
    context = {
        **admin.site.each_context(request),
        "opts": User._meta,
        "title": kind.done % {"n": progress["done"]} if found.ended_at else title,
        "bulk": found,
        "act": ACTS[found.act],
        "undo": undo,
        "undo_label": _label(undo, progress["done"]) if undo else "",
        "form": form,
        **progress,
        "page": people,
        "rows": [(row, outcomes.get(row.outcome, ""), states[row.user_id]) for row in people],
    }
    return render(request, "admin/accounts/user/bulk.html", context)


def _label(act: str, people: int) -> str | Promise:
    return ACTS[act].label if people == 1 else bulk.KINDS[act].label


def _do(request: HttpRequest, found: BulkAct, form: forms.Form) -> bool:
    """Start, continue or stop the bulk act; return False if the reason is missing."""
    if "stop" in request.POST:
        bulk.stop(found, bulk.BY_HAND)
        return True
    if found.started_at is None:
        if not form.is_valid():
            return False
        bulk.start(found, form.cleaned_data["reason"], actor_of(request))
    bulk.work(found, cast(User, request.user), actor_of(request))
    return True


def _progress(found: BulkAct, outcomes: Mapping[str, str | Promise]) -> dict[str, Any]:
    counts = dict(found.people.order_by().values_list("outcome").annotate(Count("pk")))
    waiting = counts.pop("", 0)
    done = counts.pop(bulk.DONE, 0)
    return {
        "waiting": waiting,
        "done": done,
        "concerned": waiting + done,
        "others": [(outcomes[code], number) for code, number in sorted(counts.items())],
        "why": STOPS.get(found.stopped, ""),
    }
