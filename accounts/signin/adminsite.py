"""Adapts Django's admin to the sign-in pages of this site."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ActionLocation
from django.contrib.admin.utils import quote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.core.validators import MaxLengthValidator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_POST

from accounts.activity.models import LONGEST_REASON
from accounts.activity.services import Actor
from accounts.common.errors import PublicError
from accounts.common.pages import safe_next
from accounts.sessions import current
from accounts.sessions.current import request_auth_of, session_of, staff_of
from accounts.signin import policy, recent
from accounts.signin.views import logout
from accounts.twofactor import services as twofactor
from accounts.users.forms import refuse_controls
from accounts.users.models import User

FORMS = ("_add", "_change", "_delete", "_act")


def always_open(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Mark a view of the admin whose form all staff may send, even auditors.

    The view itself must require recent authentication.
    """
    view.is_always_open = True  # type: ignore[attr-defined]  # a mark, like Django's
    return view


class Site(admin.AdminSite):
    """Django's admin without its login and password forms."""

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        """Require recent authentication for changes, and send a CSP without Trusted Types.

        The jQuery of Django's admin does not work with Trusted Types. Auditors cannot send any
        form, except to sign out.
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
        """Return whether the user is staff and has shown the proofs that staff must show."""
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
        """Return whether the user is staff and has only permissions to view."""
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
    """Return a word for each state, with its tone: ``ok``, ``warn``, ``bad`` or empty."""
    found = format_html_join(" ", '<span class="chip tag {}">{}</span>', rows)
    return format_html("<span>{}</span>", found)


def links(row: Any, offers: Mapping[str, str]) -> SafeString:
    """Return links to pages about ``row``: what each says, by the name of the page in URLs."""
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    rows = [(reverse(f"{page}_{name}", args=[row.pk]), says, row) for name, says in offers.items()]
    return format_html_join(" ", '<a href="{}">{} <bdi class="visually-hidden">{}</bdi></a>', rows)


LONGEST_SEARCH = 254
# Texts of Django's admin that this site translates itself. Django's German texts are formal, unlike
# the other pages.
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
    ``pages``: the names of the URLs that the site uses, without the model's name; all if empty.
    """

    empty_value_display = gettext_lazy("None")
    title: str | Promise = ""
    pages: tuple[str, ...] = ()

    @property
    def media(self) -> forms.Media:
        """The script of the list. Forms need none of Django's scripts, such as jQuery."""
        return forms.Media(js=["admin/js/actions.js"] if self.actions is not None else [])

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

    def page(
        self, request: HttpRequest, template: str, title: str | Promise, /, **context: object
    ) -> HttpResponse:
        """Show a page about the rows of this list."""
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return render(request, f"admin/{template}.html", shared | context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = {"title": self.title} if self.title else {}
        return super().changelist_view(request, title | (extra_context or {}))

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        """Return the choices of actions for the selected rows. The first choice does nothing."""
        empty = [("", _("Choose what to do"))]
        return super().get_action_choices(request, empty, action_location)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that match ``search_term``, and whether some may be duplicates.

        An overlong text, or one with control characters, matches nothing, because databases refuse
        NUL and conditions with a thousand words.
        """
        if not search_term.isprintable() or len(search_term) > LONGEST_SEARCH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the field without a link to add a row, because the link's window needs jQuery."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_add_related = False
        return field

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


class ReasonForm(forms.Form):
    """Asks for the reason of an act."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("The person can read this. Write nothing confidential."),
        error_messages={"required": gettext_lazy("Enter a reason.")},
        validators=[MaxLengthValidator(LONGEST_REASON), refuse_controls],
        widget=forms.Textarea({"class": "input", "rows": 2}),
    )


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """The base of forms for rows with a secret, which ask for the reason of the change."""

    reason = ReasonForm.base_fields["reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "reason" in self.fields:
            self.fields["reason"].help_text = _("All superusers can read the reason.")


class SecretAdmin(ListAdmin):
    """The admin of rows with a secret, which is shown once.

    Rows are disabled, not deleted. The attribute ``new_secret`` of a new row contains its secret.

    ``converter``: the path converter of ids.
    ``secret``: the name in URLs of the act that creates a new secret.
    ``set_enabled``: enables or disables a row; called with the row, the actor and ``enabled``.
    ``done``: the messages after a row was disabled, and after it was enabled.
    """

    pages = ("changelist", "add", "change")
    actions = None
    converter = "uuid"
    secret = "secret"  # noqa: S105 a name in URLs
    set_enabled: Callable[..., object]
    done: tuple[str | Promise, str | Promise]

    @property
    def label(self) -> str:
        """The beginning of the names of the URLs."""
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def get_urls(self) -> list[Any]:
        """Return the URLs of the list, the form and the acts."""
        acts = [
            path(
                f"<{self.converter}:id>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"{self.label}_{name}",
            )
            for name, view in self.acts().items()
        ]
        return [*acts, *super().get_urls()]

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Any) -> SafeString:
        """Return a chip for each state of ``row``."""
        is_on = ("bad", _("Disabled")) if row.disabled_at else ("ok", _("On"))
        return chips([is_on, *((tone, label) for holds, tone, label in self.states(row) if holds)])

    def states(self, row: Any) -> Iterable[tuple[object, str, str]]:
        """Return the states that only some rows have: whether ``row`` is in it, its tone and name.

        A row is also on or disabled.
        """
        return ()

    def acts(self) -> dict[str, Callable[..., HttpResponse]]:
        """Return the views that act on a row, by their names in URLs."""
        acts = {self.secret: self._make_secret, "enabled": self._set_enabled}
        return {name: partial(self._act, act) for name, act in acts.items()}

    def rotate(self, row: Any, actor: Actor, posted: QueryDict) -> str:
        """Create and return a new secret of ``row``.

        Raises:
            PublicError: the row cannot get a new secret.
        """
        raise NotImplementedError

    def show(self, request: HttpRequest, row: Any, secret: str, **context: object) -> HttpResponse:
        """Show a new secret."""
        context |= {str(self.opts.model_name): row, "secret": secret, **self.context_of(row)}
        return self.page(request, f"{self.label.replace('_', '/')}/secret", str(row), **context)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the secret of the new row."""
        return self.show(request, obj, obj.new_secret)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows are disabled instead."""
        return False

    def context_of(self, row: Any) -> dict[str, Any]:
        """Return the template context beside the form of ``row``, which is None for a new row."""
        raise NotImplementedError

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form, the state of the row, and what :meth:`context_of` returns."""
        row = context["original"]
        context |= {"state": self.state(row) if row else "", **self.context_of(row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def find(self, request: HttpRequest, id: object) -> Any:
        """Return the row with this id.

        Raises:
            PermissionDenied: the user may not change such rows.
            Http404: there is no such row.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(id))
        if row is None:
            raise Http404
        return row

    def back(self, row: Any) -> HttpResponse:
        """Redirect to the page of ``row``."""
        return redirect(f"admin:{self.label}_change", quote(row.pk))

    def _act(
        self,
        act: Callable[[HttpRequest, Any, Actor], HttpResponse | None],
        request: HttpRequest,
        id: object,
    ) -> HttpResponse:
        """Run ``act`` if a reason was given; then show the page of the row."""
        row, form = self.find(request, id), ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, str(form.errors["reason"][0]))
            return self.back(row)
        actor = staff_of(request, form.cleaned_data["reason"])
        return act(request, row, actor) or self.back(row)

    def _make_secret(self, request: HttpRequest, row: Any, actor: Actor) -> HttpResponse | None:
        try:
            return self.show(request, row, self.rotate(row, actor, request.POST))
        except PublicError as error:
            messages.error(request, str(error))
            return None

    def _set_enabled(self, request: HttpRequest, row: Any, actor: Actor) -> None:
        is_on = request.POST.get("enabled") == "yes"
        self.set_enabled(row, actor, enabled=is_on)
        messages.success(request, str(self.done[is_on]))


class _Rows(forms.CheckboxSelectMultiple):
    template_name = "admin/widgets/rows.html"


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as above
    """A form field with a check box for each row of a query set."""

    widget = _Rows

    def clean(self, value: Any) -> Any:
        """Return the chosen rows.

        Raises:
            ValidationError: an id does not belong to a row. Impossible ids are refused without
                a query.
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
