"""The page of a bulk act: the people, the reason, the progress and the result."""

import uuid
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import Action, ActionLocation
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.views.decorators.http import require_http_methods

from accounts.administration import bulk
from accounts.administration.acts import ACTS
from accounts.administration.bulk import STOPS, NobodyToActOn
from accounts.administration.models import BulkAct
from accounts.administration.search import states_of
from accounts.common.pages import page_of
from accounts.sessions.current import actor_of
from accounts.signin.adminsite import ReasonForm
from accounts.users.models import User
from accounts.users.rights import ACTING, role_of

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
def page(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Show a bulk act. A POST starts, continues or stops it."""
    found = bulk.find_bulk_act(cast(User, request.user), pk=id)
    if found is None:
        raise Http404
    form = ReasonForm(request.POST if "reason" in request.POST else None)
    if request.method == "POST" and _do(request, found, form):
        return redirect(request.path)
    outcomes = bulk.outcomes(found)
    rows = found.people.order_by("outcome", "user__username_key", "pk")
    people = page_of(request, rows.select_related("user"))
    states = states_of([row.user_id for row in people])
    context = {
        **admin.site.each_context(request),
        "opts": User._meta,
        "title": bulk.KINDS[found.act].label,
        "bulk": found,
        "act": ACTS[found.act],
        "form": form,
        **_progress(found, outcomes),
        "page": people,
        "rows": [(row, outcomes.get(row.outcome, ""), states[row.user_id]) for row in people],
    }
    return render(request, "admin/accounts/user/bulk.html", context)


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
