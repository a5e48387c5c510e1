"""The page that lists sessions, and the page about an event that looks suspicious."""

import uuid
from collections.abc import Iterable, Set
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Case, Q, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.activity import events, history
from accounts.activity import services as activity
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.common import clock, proofs
from accounts.common.database import P, PreparedQuery
from accounts.common.pages import PAGE_SIZE, form_page, page_of
from accounts.common.text import row_id as row_id_of
from accounts.recovery.locks import Access
from accounts.sessions import current, known_browsers, services
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.sessions.models import LoginSession, is_live
from accounts.sessions.services import IS_APP, live, revoke_all
from accounts.signin import policy, recent
from accounts.twofactor import trusted_browsers
from accounts.users import services as users
from accounts.users.models import User

IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


def _others(user: uuid.UUID | P, here: uuid.UUID | P, now: datetime | P) -> QuerySet[LoginSession]:
    """Return the live sessions of ``user``, except ``here``, that can be revoked one by one.

    Browsers come first, then API clients, each most recently used first. Sessions of connected apps
    are left out: the page shows each app once, see :func:`connected_apps`.
    """
    rows = LoginSession.objects.filter(is_live(now), ~IS_APP, user=user).exclude(pk=here)
    return rows.order_by(Case(When(IN_BROWSER, then=0), default=1), "-used_at")


_FIRST_OTHERS = PreparedQuery(lambda: _others(P("user"), P("here"), P("now"))[: PAGE_SIZE + 1])


def connected_apps(access: Access) -> list[Any]:
    """Return the connection that each app used last, most recently used first."""
    found: dict[str, Any] = {}
    for row in access.connections:
        found.setdefault(row.client_id, row)
    return list(found.values())[:PAGE_SIZE]


def add_providers(user: User, sessions: Iterable[LoginSession]) -> None:
    """Set ``provider`` of each session of ``user`` that began with a sign-in at a provider."""
    if found := [session for session in sessions if proofs.Method.PROVIDER in session.amr]:
        kinds = [event.name for event in events.SIGN_INS]
        ids = [session.pk for session in found]
        rows = activity.of(user).filter(session__in=ids, kind__in=kinds)
        names = dict(rows.values_list("session", "detail"))
        for session in found:
            session.provider = names.get(session.pk, "")


@transaction.atomic
def sign_out_elsewhere(
    user: User,
    keep: uuid.UUID | None,
    actor: Actor,
    *,
    end_keys: Set[str] = frozenset(),
    keep_keys: Set[str] = frozenset(),
) -> int:
    """Revoke all other sessions, the API keys created in them, and the trust in every browser.

    Return how many sessions ended.

    ``end_keys``: the ids of API keys to revoke even if their session has ended meanwhile.
    ``keep_keys``: the ids of API keys that stay although their session ends.
    """
    # Lock the user first, as a lockdown does. Otherwise the two could deadlock on the sessions.
    users.lock_row_as_is(user)
    ending = {key.pk for key in apikeys.effects(user, keep).ending} - keep_keys
    apikeys.revoke_keys(user, apikeys.of(user).filter(pk__in=ending), actor)
    apikeys.revoke_chosen(user, end_keys, actor)
    ending_sessions = live(user).exclude(pk=keep) if keep else live(user)
    if count := ending_sessions.count():
        revoke_all(user, keep=keep, reason=events.OTHERS_ENDED.name)
        record(user, events.OTHERS_ENDED, actor, detail=str(count))
    trusted_browsers.end(user, actor)
    return count


@form_page
def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions and known browsers of the signed-in user (GET).

    A POST revokes one of the sessions or all others, or forgets a browser.
    """
    here = session_of(request)
    if request.method == "POST":
        if "forget" in request.POST:
            return _forget(request, here)
        revoke = _sign_out_elsewhere if "others" in request.POST else _revoke
        return revoke(request, here)
    whose: dict[str, Any] = {"user": here.user_id, "here": here.pk, "now": clock.now()}
    page = page_of(request, partial(_others, **whose), first=partial(_FIRST_OTHERS.all, **whose))
    access = Access(here.user, here.pk)
    add_providers(here.user, [here, *page])
    context = {
        "here": here,
        "page": page,
        "browsers": [session for session in page if not session.is_client],
        "programs": [session for session in page if session.is_client],
        "apps": connected_apps(access),
        "known": known_browsers.listed(request, here.user),
        "access": access,
        "trusts_here": access.trusted and trusted_browsers.here(request, here.user).exists(),
    }
    return render(request, "accounts/sessions/sessions.html", context)


def _sign_out_elsewhere(request: HttpRequest, here: LoginSession) -> HttpResponse:
    """Revoke all sessions except ``here``. Recent authentication is required.

    Otherwise, a thief with copied cookies could sign the owner out. The cookie of the known browser
    is renewed as well, so the owner's browser would become an unknown one.
    """
    if needed := recent.reauthenticate_first(request):
        return needed
    # A key that the page did not show, for example because it was created meanwhile, is revoked,
    # too.
    ticked, shown = (set(request.POST.getlist(name)) for name in ("end_key", "shown_key"))
    with transaction.atomic():
        count = sign_out_elsewhere(
            here.user, here.pk, actor_of(request), end_keys=ticked, keep_keys=shown - ticked
        )
        known_browsers.renew(request, here.user)
    # Copies of this browser's cookies become invalid. The key is renewed after the commit:
    # otherwise two browsers that sign each other out would wait for each other's rows.
    renew_key(request)
    sentence = ngettext(
        "You’re signed out on %(count)d other device. Sign in again there to use it.",
        "You’re signed out on %(count)d other devices. Sign in again there to use them.",
        count,
    )
    nothing = _("You weren’t signed in anywhere else.")
    messages.success(request, sentence % {"count": count} if count else nothing)
    return redirect("sessions")


def _revoke(request: HttpRequest, here: LoginSession) -> HttpResponse:
    try:
        session_id = uuid.UUID(request.POST.get("end", ""))
    except ValueError:
        raise Http404 from None
    if session_id == here.pk:
        return redirect("account_logout")
    if not policy.may_end_sessions(here):
        return current.redirect_to_reauthenticate(request)
    if not services.revoke_by_id(here.user, session_id, actor_of(request)):
        raise Http404
    messages.success(request, _("You’re signed out on that device."))
    return redirect("sessions")


def _forget(request: HttpRequest, here: LoginSession) -> HttpResponse:
    row_id = row_id_of(request.POST["forget"])
    if not known_browsers.forget(here.user, row_id, actor_of(request)):
        raise Http404
    messages.success(request, _("The browser was forgotten."))
    return redirect("sessions")


@form_page
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Show an event of the signed-in user's history, and what to do if the user did not cause it.

    A POST revokes the session in which the event occurred.
    """
    here = session_of(request)
    row = get_object_or_404(activity.of(here.user), pk=event_id)
    session = _live_session(row, here)
    if request.method == "POST":
        if not policy.may_end_sessions(here):
            return current.redirect_to_reauthenticate(request)
        is_ended = session and services.revoke_by_id(here.user, session.pk, actor_of(request))
        if not is_ended:
            raise Http404
        messages.success(request, _("%(device)s was signed out.") % {"device": session})
        return redirect("event", event_id)
    context = {
        "entry": history.Entry([row]),
        "session": session,
        "is_here": row.session == here.pk and not row.actor,
        "contact": settings.AUTHSITE.contact,
    }
    return render(request, "accounts/sessions/event.html", context)


def _live_session(row: Activity, here: LoginSession) -> LoginSession | None:
    """Return the session in which the event ``row`` occurred, if the user can revoke it.

    Return None if the session is not live, or is the current session ``here``. If staff or the
    operator caused the event, return None, too, because it was no session of the user.
    """
    if row.actor or row.session is None or row.session == here.pk:
        return None
    return services.live(here.user).filter(pk=row.session).first()
