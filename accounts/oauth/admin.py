"""The admin pages of apps and of registration tokens."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.services import Actor
from accounts.administration import known
from accounts.administration.known import Known, secret_of
from accounts.common import clock
from accounts.oauth.clients import registration
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.forms import FIELDSETS, KINDS, ClientForm, Kind, snippet, trial
from accounts.oauth.clients.models import Client, ClientSecret, RegistrationToken
from accounts.oauth.scopes import audiences
from accounts.sessions.current import staff_of
from accounts.signin.adminsite import ListAdmin, ReasonForm, SecretAdmin, links
from accounts.users.models import User

LIST = "admin:oauth_registrationtoken_changelist"


class RegistrationTokenAdmin(ListAdmin):
    """The admin of registration tokens, for superusers. A command creates tokens."""

    list_display = (
        *("__str__", "clients_left", "scope", "services", "created_at", "expires_at", "link"),
    )
    title = gettext_lazy("Registration tokens")
    pages = ("changelist", "delete")
    list_display_links = None
    ordering = ("-created_at",)
    actions = None

    @admin.display(description=gettext_lazy("audiences"))
    def services(self, token: RegistrationToken) -> str:
        """Return the services to which apps registered with ``token`` get access tokens."""
        return ", ".join(token.audiences) or "-"

    @admin.display(description=gettext_lazy("Actions"))
    def link(self, token: RegistrationToken) -> SafeString:
        """Return a link to the page that revokes the token."""
        return links(token, {"delete": _("Revoke")})

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask whether to revoke the token (GET), or revoke it (POST)."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        token = self.get_object(request, object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if token and not form.is_valid():
            template, title = "oauth/registrationtoken/revoke", _("Revoke token")
            return self.page(request, template, title, token=token, form=form)
        if token and registration.revoke(token, _actor_of(request, form)):
            messages.success(request, _("You’ve revoked the token %(name)s.") % {"name": token})
        else:
            messages.info(request, _("This token was already revoked, or has expired."))
        return redirect(LIST)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the command ``registration_token`` creates tokens."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: to change a token, create a new one."""
        return False


class ClientAdmin(SecretAdmin):
    """The admin of apps. An app is disabled, not deleted, so that its client ID is never reused."""

    title = gettext_lazy("Apps")
    form = ClientForm
    list_display = ("app", "state", "hosts", "created_at")
    search_fields = ("name", "id", "registered_with")
    ordering = ("name", "pk")
    change_form_template = "admin/oauth/client/change.html"
    converter = "client_id"
    done = (gettext_lazy("You’ve disabled the app."), gettext_lazy("You’ve enabled the app."))
    set_enabled = staticmethod(clients.set_enabled)

    @admin.display(description=gettext_lazy("app"), ordering="name")
    def app(self, client: Client) -> SafeString:
        """Return the name and the client ID of the app."""
        return format_html('<bdi>{}</bdi> <span dir="ltr">{}</span>', client.name, client.pk)

    @admin.display(description=gettext_lazy("redirect URIs"))
    def hosts(self, client: Client) -> str | None:
        """Return the hosts to which the app sends people back."""
        return ", ".join({urlsplit(uri).netloc or uri: 1 for uri in client.redirect_uris}) or None

    def states(self, row: Client) -> Iterable[tuple[object, str, str]]:
        """Return what matters to people who sign in to the app."""
        return (
            (not row.is_verified, "warn", _("Not verified")),
            (row.is_development, "warn", _("In development")),
            (row.is_first_party, "", _("First-party")),
            (row.is_public, "", _("Public")),
            (row.is_device, "", str(KINDS["device"].label)),
            (row.resource, "", str(KINDS["service"].label)),
        )

    def rotate(self, row: Client, actor: Actor, posted: QueryDict) -> str:
        """Replace the secret of the app, and return the new one."""
        current = posted.get("current", "")
        return clients.rotate_secret(row, actor, now="now" in posted, current=current)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the kind of the app, show the form of this kind, or register the app (POST)."""
        title, kind = _("Register an app"), _kind_of(request)
        if kind or request.method == "POST":
            return super().add_view(request, form_url, {"title": title, "kind": kind})
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self.page(request, "oauth/client/kinds", title, kinds=KINDS)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the values of the fields that the kind of the app sets."""
        kind = _kind_of(request)
        return dict(kind.initial) if kind else {}

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form class for the kind of the app."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.kind = _kind_of(request) or form.kind
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        """Return the fields that every app of its kind needs, and the others by topic."""
        kind = _kind_of(request) or ClientForm.kind
        found: list[Any] = [(None, {"fields": kind.fields})]
        for topic, given in FIELDSETS:
            names = [name for name in given["fields"] if name not in kind.fields]
            found.append((topic, given | {"fields": names, "classes": ("collapse",)}))
        return [*found, (None, {"fields": ("reason",)})]

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        actor = _actor_of(request, form)
        if change:
            clients.change(obj, set(form.changed_data) - {"reason"}, actor)
        else:
            obj.new_secret = clients.create(obj, actor)

    def response_add(
        self, request: HttpRequest, obj: Client, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the client ID and the secret of the new app."""
        kind = _kind_of(request) or ClientForm.kind
        return self.show(request, obj, obj.new_secret, kind=kind)

    def context_of(self, row: Client | None) -> dict[str, Any]:
        """Return the services of the app, and when its former secret expires."""
        context: dict[str, Any] = {"services": audiences()[1:]}
        if row and row.has_secret:
            context["current"] = clients.current_secret(row)
            context["former_ends_at"] = clients.former_secret_ends_at(row)
        return context

    def show(self, request: HttpRequest, row: Client, secret: str, **context: Any) -> HttpResponse:
        """Show what the app's developer needs. ``kind``: only if the app is new."""
        kind = context.setdefault("kind", None)
        context |= {"title": row.name, "issuer": settings.AUTHSITE.origin}
        context |= {"snippet": snippet(row, secret, kind), "trial": trial(row) if kind else ""}
        return super().show(request, row, secret, **context)


def secrets_known_to(user: User) -> Iterator[Known]:
    """Return the valid secrets of apps that ``user`` created, for the page of known secrets."""
    valid = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    rows = ClientSecret.objects.filter(valid, made_by=user.pk).select_related("client")
    for row in rows.order_by("-made_at"):
        kind = gettext_lazy("Secret of an app")
        yield secret_of(kind, row.client, row.made_at, "oauth_client_secret", row.client_id)


def _actor_of(request: HttpRequest, form: Any) -> Actor:
    """Return the member of staff who sends ``form`` as an actor, with the reason of the form."""
    return staff_of(request, form.cleaned_data["reason"])


def _kind_of(request: HttpRequest) -> Kind | None:
    return KINDS.get(request.GET.get("kind", ""))


admin.site.register(Client, ClientAdmin)
known.SOURCES.insert(0, secrets_known_to)
admin.site.register(RegistrationToken, RegistrationTokenAdmin)
