"""The pages by which staff act on the accounts of others."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.activity import history
from accounts.administration import acts, person, search, steps
from accounts.administration.acts import ACTS, Act
from accounts.administration.person import Account, Facts
from accounts.administration.roles import NotInRole
from accounts.administration.steps import Mode
from accounts.common.errors import PublicError
from accounts.sessions.current import actor_of
from accounts.signin.adminsite import ReasonForm
from accounts.users.models import User
from accounts.users.rights import role_of

MODES = {
    "": gettext_lazy("Choose when"),
    Mode.NOW: gettext_lazy("Now"),
    Mode.WAIT: gettext_lazy("After the waiting period"),
}


def _select() -> forms.Select:
    return forms.Select({"class": "input"})


class ActForm(ReasonForm):
    """Asks for the reason of an act and, where the act needs them, for its target and its mode."""

    field_order = ("target", "mode", "reason")
    target = forms.ChoiceField(label=gettext_lazy("Which"), required=False, widget=_select())
    # No mode is preselected, so that nobody removes factors immediately by oversight.
    mode = forms.ChoiceField(label=gettext_lazy("When"), choices=MODES, widget=_select())

    def __init__(self, act: Act, facts: Facts, data: Any = None) -> None:
        super().__init__(data, auto_id=f"{act.name}_%s")
        targets = [(target.value, target.label) for target in act.targets(facts)]
        everything = [("", str(act.everything))] if act.everything else []
        if everything or targets:
            field = cast(forms.ChoiceField, self.fields["target"])
            field.choices = [*everything, *targets]
        else:
            del self.fields["target"]
        if not act.has_modes:
            del self.fields["mode"]
        elif not steps.may_wait(facts):
            modes = cast(forms.ChoiceField, self.fields["mode"])
            modes.choices = [(mode, label) for mode, label in MODES.items() if mode != Mode.WAIT]


@dataclass(frozen=True)
class Offer:
    """An act with its form, for the page about a person."""

    act: Act
    form: ActForm
    url: str


def context_of(staff: User, facts: Facts) -> dict[str, Any]:
    """Return what the page about an account shows about the acts of ``staff``."""
    role, offers, refusal = role_of(staff), [], ""
    try:
        offers = [
            Offer(
                act,
                ActForm(act, facts),
                reverse("admin:accounts_user_act", args=[facts.account.pk, act.name]),
            )
            for act in acts.acts_for(staff, facts)
        ]
    except NotInRole:
        refusal = _("You can read this page, but not change the account.")
    except PublicError as error:
        refusal = str(error)
    return {"role": history.ROLES[role] if role else "", "offers": offers, "refusal": refusal}


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, id: uuid.UUID, name: str) -> HttpResponse:
    """Show the form of an act, or do the act if the form is complete."""
    staff = cast(User, request.user)
    account, wanted = search.find_account(str(id)), ACTS.get(name)
    if wanted is None or not (wanted.for_signups or isinstance(account, User)):
        raise Http404
    form = ActForm(wanted, Facts(account), request.POST if request.method == "POST" else None)
    refusal = None
    try:
        wanted.check(staff, account)
        if isinstance(account, User):
            # The form names the addresses, sessions and factors of the user.
            person.record_page_view(account, staff, actor_of(request))
        if form.is_valid():
            data = form.cleaned_data
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
        "account": account,
        "offer": Offer(wanted, form, request.path),
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "admin/accounts/user/act.html", context, status=status)


def _back_to(account: Account) -> HttpResponse:
    """Redirect to the page about the person, or to the list if the sign-up is unconfirmed."""
    if User.objects.filter(pk=account.pk).exists():
        return redirect("admin:accounts_user_change", account.pk)
    return redirect("admin:accounts_user_changelist")
