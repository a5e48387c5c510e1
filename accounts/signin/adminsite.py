"""Adapts Django's admin to the sign-in pages of this site."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ActionLocation
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override

from accounts.common.pages import safe_next
from accounts.sessions import current
from accounts.sessions.current import request_auth_of, session_of
from accounts.signin import policy, recent
from accounts.signin.views import logout
from accounts.twofactor import services as twofactor
from accounts.users.models import User

FORMS = ("_add", "_change", "_delete", "_act")


def always_open(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Mark a view of the admin whose form all staff may send, also staff who may only read.

    The view itself requires recent authentication.
    """
    view.is_always_open = True  # type: ignore[attr-defined]  # a mark, like Django's
    return view


class Site(admin.AdminSite):
    """Django's admin without its login and password forms."""

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        """Require recent authentication for changes, and send a CSP without Trusted Types.

        The jQuery of Django's admin does not work with Trusted Types. Staff who may only read
        cannot send any form, except to sign out.
        """
        stock = super().admin_view(view, cacheable)
        is_open = view == self.logout or getattr(view, "is_always_open", False)

        @wraps(stock)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not is_open and self._may_act(request):
                if not recent.has_recent_authentication(request):
                    return current.redirect_to_reauthenticate(request)
                if session_of(request).has_new_factor:
                    return recent.refuse_new_factor(request)
                if request.method == "POST" and self._only_reads(request):
                    raise PermissionDenied
            return stock(request, *args, **kwargs)

        return csp_override(settings.SECURE_CSP_ADMIN)(guarded)

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is staff, with the proofs that the policy requires of staff."""
        session = request_auth_of(request).session
        return super().has_permission(request) and session is not None and policy.suffices(session)

    def _may_act(self, request: HttpRequest) -> bool:
        """Return whether the request changes something in the admin, or opens a form to do so.

        Opening a form already requires recent authentication, so that no input is lost later.
        """
        match = request.resolver_match
        is_form = bool(match and match.url_name and match.url_name.endswith(FORMS))
        return self.has_permission(request) and (request.method == "POST" or is_form)

    def _only_reads(self, request: HttpRequest) -> bool:
        """Return whether the user is staff and has no right except to see something."""
        if not self.has_permission(request):
            return False
        names = (name.partition(".")[2] for name in request.user.get_all_permissions())
        return all(name.startswith("view_") for name in names)

    @method_decorator([login_not_required, never_cache])
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to the sign-in page of this site, which then redirects back to the admin.

        A signed-in member of staff is redirected to the admin, or to the page for a missing second
        factor.

        Raises:
            PermissionDenied: the signed-in user is not staff.
        """
        next_url = safe_next(request.GET.get("next")) or reverse("admin:index")
        if self.has_permission(request):
            return redirect(next_url)
        if request.user.is_authenticated:
            return self._raise_assurance(request, next_url)
        if request_auth_of(request).needs_reauthentication:
            return redirect_to_login(next_url, reverse("account_reauthenticate"))
        return redirect_to_login(next_url)

    def _raise_assurance(self, request: HttpRequest, next_url: str) -> HttpResponse:
        """Redirect to the page where the user shows or adds the required second factor.

        Raises:
            PermissionDenied: the user is not staff, or the session already meets the policy.
        """
        session = request_auth_of(request).session
        if session is None or policy.suffices(session) or not super().has_permission(request):
            raise PermissionDenied
        return redirect_to_login(next_url, reverse(_page_of(session.user)))

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the sign-out page of this site."""
        return logout(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Raise ``Http404``, because the admin's form does not require recent authentication."""
        raise Http404

    password_change_done = password_change


def _page_of(user: User) -> str:
    """Return the URL name of the page where ``user`` shows or adds the required second factor."""
    if twofactor.needs_passkey(user) and not twofactor.has_passkey(user):
        # Without a passkey, reauthentication cannot meet the requirement.
        return "passkey_add"
    return "account_reauthenticate" if twofactor.has_any(user) else "totp_setup"


def chips(rows: Iterable[tuple[str, str | Promise]]) -> SafeString:
    """Return a word for each state, with its tone: ``warn``, ``bad`` or empty."""
    found = format_html_join(" ", '<span class="chip {}">{}</span>', rows)
    return format_html("<span>{}</span>", found)


LONGEST_SEARCH = 254
# Texts of Django's admin that this site translates itself, because Django's German addresses people
# formally and the other pages do not.
TRANSLATED_HERE = (
    gettext_lazy(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? '
        "All of the following related items will be deleted:"
    ),
    gettext_lazy(
        "Are you sure you want to delete the selected %(objects_name)s? "
        "All of the following objects and their related items will be deleted:"
    ),
)


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic class at runtime
    """A list in the admin with translated texts. Invalid query parameters cause no error.

    ``title``: the title of the list, if it is not Django's.
    ``pages``: the names of the URLs that the site uses, without that of the model; all if it is
        empty.
    """

    title: str | Promise = ""
    pages: tuple[str, ...] = ()

    def get_urls(self) -> list[Any]:
        names = [f"{self.opts.app_label}_{self.opts.model_name}_{page}" for page in self.pages]
        return [url for url in super().get_urls() if not names or url.name in names]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the object with this id, or None if there is none.

        An id with control characters is not looked up: PostgreSQL refuses a NUL character.
        """
        is_possible = object_id.isprintable()
        return super().get_object(request, object_id, from_field) if is_possible else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = {"title": self.title} if self.title else {}
        return super().changelist_view(request, title | (extra_context or {}))

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        """Return the choices for what to do with the selected rows. The first one does nothing."""
        empty = [("", _("Choose what to do"))]
        return super().get_action_choices(request, empty, action_location)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that Django finds for ``search_term``, and whether some may be repeated.

        A text that is too long or has control characters finds nothing, because databases refuse a
        NUL character, and a condition with a thousand words.
        """
        if not search_term.isprintable() or len(search_term) > LONGEST_SEARCH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Return False: a condition in the URL could reveal a digest, or cause a database error."""
        return False

    def response_action(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> Any:
        """Run the chosen action on the selected rows.

        Raises:
            BadRequest: a selected value cannot be the id of a row.
        """
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(_is_id(queryset, text) for text in chosen):
            raise BadRequest
        return super().response_action(request, queryset, action_location)


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as above
    """A form field with a check box for each row of a query set."""

    widget = forms.CheckboxSelectMultiple

    def clean(self, value: Any) -> Any:
        """Return the chosen rows.

        Raises:
            ValidationError: an id is not that of a row. The database is not asked for ids that no
                row can have.
        """
        for text in value or ():
            if not _is_id(self.queryset, text):
                message = self.error_messages["invalid_pk_value"]
                raise ValidationError(message, "invalid_pk_value", {"pk": text})
        return super().clean(value)


def _is_id(rows: Any, text: object) -> bool:
    try:
        rows.model._meta.pk.clean(text, None)
    except ValidationError:
        return False
    return True
