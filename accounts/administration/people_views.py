"""The admin pages on which staff find people and read about one of them."""

import uuid
from dataclasses import replace
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.administration import act_views, bulk, known, person, roles, search
from accounts.administration.explanation import blocks_for
from accounts.administration.person import Facts
from accounts.administration.search import STATES, UNCONFIRMED
from accounts.common.errors import PublicError
from accounts.common.localization import recent_date, short_date
from accounts.common.pages import PAGE_SIZE
from accounts.sessions import services as sessions
from accounts.sessions.current import actor_of
from accounts.signin.adminsite import ListAdmin, ReasonForm, chips
from accounts.users import services as users
from accounts.users import support_code
from accounts.users.models import PendingSignup, User
from accounts.users.rights import sees_all_emails

# The query parameter that opens the form to change rights.
RIGHTS = "rights"
NAME = '<i aria-hidden="true">{}</i><span><bdi>{}</bdi> {}</span><span>{}</span>'
CHECKBOX = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'


class StateFilter(admin.SimpleListFilter):
    """Filters the list of users by the states of ``search.STATES``."""

    title = _("state")
    parameter_name = "state"
    template = "admin/accounts/user/states.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the states with their names."""
        return [(name, state.label) for name, state in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Return the users in the chosen state; all users if no known state is chosen."""
        state = STATES.get(self.value() or "")
        return state.select(queryset) if state else queryset


class PeopleList(ChangeList):
    """The list of people. It can be sorted only by columns that have an index.

    A filtered list is sorted by username, as the indexes of the filters are.
    """

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the chosen columns if they have an index, else the username."""
        chosen = super().get_ordering(request, queryset)
        has_index = str(chosen[0]).removeprefix("-") in {"username_key", "date_joined"}
        return chosen if has_index and self.sortable_by else list(PeopleAdmin.ordering)

    def get_results(self, request: HttpRequest) -> None:
        """Find the users of the page, their states, and when they last used their accounts.

        Auditors see shortened email addresses.
        """
        super().get_results(request)
        ids, reader = [user.pk for user in self.result_list], cast(User, request.user)
        states, seen = search.states_of(ids), sessions.last_uses(ids)
        for user in self.result_list:
            vars(user).update(
                states=states[user.pk],
                seen=seen.get(user.pk) or user.last_login,
                shown_email=person.email_for(reader, user),
            )


class PeopleAdmin(ListAdmin):
    """The list of users and the page about a user."""

    list_display = ("name", "state", "joined", "seen")
    list_filter = (StateFilter,)
    # The admin shows its search box only if this is set. ``get_search_results`` decides which
    # fields are searched.
    search_fields = ("username_key",)
    search_help_text = _(
        "Part of a name or email address, a support code, an ID, or the beginning of an API key. "
        "One typing error is fine."
    )
    list_per_page = PAGE_SIZE
    ordering = ("username_key",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # The bar of actions is below the list, so that selecting a row does not move the rows.
    actions_on_top, actions_on_bottom = False, True
    change_list_template = "admin/accounts/user/people.html"
    change_form_template = "admin/accounts/user/rights.html"

    @admin.display(description=_("name"), ordering="username_key")
    def name(self, user: User) -> SafeString:
        """Return the initial, the username, the display name and the primary address."""
        email = vars(user)["shown_email"]
        return format_html(NAME, user.username[0].upper(), user.username, user.display_name, email)

    @admin.display(description=_("state"))
    def state(self, user: User) -> SafeString:
        """Return a chip for each state of the user."""
        return chips((state.tone or "", state.label) for state in vars(user)["states"])

    @admin.display(description=_("joined"), ordering="date_joined")
    def joined(self, user: User) -> str:
        """Return the date on which the user signed up."""
        return short_date(user.date_joined)

    @admin.display(description=_("last seen"), empty_value=cast(str, _("Never")))
    def seen(self, user: User) -> str | None:
        """Return when the account was last used: the day in the last week, else the date."""
        seen = vars(user)["seen"]
        return recent_date(seen) if seen else None

    @admin.display(description="")
    def action_checkbox(self, obj: User) -> SafeString:
        """Return the check box of a row as Django does, but without rendering a template."""
        return format_html(CHECKBOX, ACTION_CHECKBOX_NAME, obj.pk, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PeopleList

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns that have an index."""
        return () if StateFilter.parameter_name in request.GET else ("name", "joined")

    def find(self, request: HttpRequest) -> HttpResponse:
        """Redirect to the page about the user if one user matches the search, else to the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        query, reader = request.GET.get("q", ""), cast(User, request.user)
        all_emails = sees_all_emails(reader)
        people = search.search(User.objects.all(), query, all_emails=all_emails)[:2]
        signups = search.search_signups(query, all_emails=all_emails)[:2]
        match [*people, *signups]:
            case [found]:
                person.record_shown(reader, actor_of(request), 1)
                return redirect("admin:accounts_user_change", found.pk)
        return redirect(reverse("admin:accounts_user_changelist", query={"q": query}))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the pending sign-ups and the users that match the search or the filter."""
        query, state = request.GET.get("q", ""), request.GET.get("state", "")
        reader, signups = cast(User, request.user), PendingSignup.objects.none()
        if query.strip():
            signups = search.search_signups(query, all_emails=sees_all_emails(reader))
        elif state == UNCONFIRMED:
            signups = search.unconfirmed_signups()
        shown = list(signups[: self.list_per_page]) if state in {"", UNCONFIRMED} else []
        context = {
            "title": _("People"),
            "signups": [(signup, person.email_for(reader, signup)) for signup in shown],
            "unfinished": bulk.unfinished(reader),
            "request_end": support_code.request_of(query),
            "masked": not sees_all_emails(reader),
        }
        answer = super().changelist_view(request, context | (extra_context or {}))
        if found := (getattr(answer, "context_data", None) or {}).get("cl"):
            person.record_shown(reader, actor_of(request), len(shown) + len(found.result_list))
        return answer

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Return the users who match ``search_term``, and False, because none is listed twice."""
        if not search_term.strip():
            return queryset, False
        all_emails = sees_all_emails(cast(User, request.user))
        return search.search(queryset, search_term, all_emails=all_emails), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Return whether ``lookup`` is the parameter of ``StateFilter``, the only filter.

        With other lookups, staff could find out a password hash by ``?password__startswith=``.
        """
        return lookup == StateFilter.parameter_name

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show the page about a user, or about a pending sign-up with this id.

        Django shows and processes the form that changes the rights of the user.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST" or RIGHTS in request.GET:
            return super().change_view(request, object_id, form_url, extra_context)
        try:
            account = search.find_account(object_id)
        except Http404:
            return super().change_view(request, object_id, form_url, extra_context)
        if isinstance(account, PendingSignup):
            return self._signup(request, account)
        self._note_view(request, account)
        return self._person(request, account, ReasonForm())

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form that changes the rights of a user."""
        self._note_view(request, context["original"])
        context |= {"title": _("Change rights"), "subtitle": context["original"]}
        return super().render_change_form(request, context, *args, **kwargs)

    def details(self, request: HttpRequest, id: uuid.UUID) -> HttpResponse:
        """Show all details about a user on the response to a form with a reason."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        user, reader = users.find_by_id(str(id)), cast(User, request.user)
        if user is None:
            raise Http404
        if request.method != "POST":
            return redirect("admin:accounts_user_change", user.pk)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self._person(request, user, form)
        reason = form.cleaned_data["reason"]
        person.note_details(user, reader, replace(actor_of(request), reason=reason))
        return self._person(request, user)

    def known(self, request: HttpRequest, id: uuid.UUID) -> HttpResponse:
        """Show the secrets that a member of staff may know, with a button to replace each."""
        user = users.find_by_id(str(id))
        if user is None:
            raise Http404
        try:
            roles.check(cast(User, request.user), user)
        except PublicError as error:
            raise PermissionDenied from error
        self._note_view(request, user)
        made, title = known.of(user), _("Secrets they know")
        return self.page(request, "accounts/user/known", title, original=user, known=made)

    def _person(
        self, request: HttpRequest, user: User, details_form: ReasonForm | None = None
    ) -> HttpResponse:
        """Show the page about a user.

        ``details_form``: asks auditors for a reason before they see all details; None if a reason
            was given.
        """
        reader = cast(User, request.user)
        facts, is_masked = Facts(user), details_form is not None and not sees_all_emails(reader)
        context = {
            "original": user,
            "states": search.states_of_one(user),
            "person": person.read(request, facts, is_masked=is_masked),
            "details_form": details_form if is_masked else None,
            "has_change_permission": self.has_change_permission(request, user),
        }
        return self._page(request, "person", facts, context, is_masked=is_masked)

    def _signup(self, request: HttpRequest, signup: PendingSignup) -> HttpResponse:
        """Show the page about a sign-up that is not confirmed yet."""
        reader, facts = cast(User, request.user), Facts(signup)
        context = {
            "signup": signup,
            "email": person.email_for(reader, signup),
            "waiting": facts.waiting,
            "receipts": facts.receipts,
        }
        return self._page(request, "signup", facts, context, is_masked=not sees_all_emails(reader))

    def _page(
        self, request: HttpRequest, name: str, facts: Facts, context: Any, *, is_masked: bool
    ) -> HttpResponse:
        context |= {"title": facts.account, "blocks": blocks_for(facts, is_masked=is_masked)}
        context |= act_views.context_of(cast(User, request.user), facts)
        return self.page(request, f"accounts/user/{name}", "", **context)

    def _note_view(self, request: HttpRequest, user: User) -> None:
        """Record that staff opened the page; the user sees this in the history."""
        person.record_page_view(user, cast(User, request.user), actor_of(request))
