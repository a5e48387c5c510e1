"""The admin pages of registration tokens: the list, and the form that revokes one."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.oauth import registration_tokens
from accounts.oauth.models import RegistrationToken
from accounts.sessions.current import staff_of
from accounts.signin.admin_lists import ListAdmin

LIST = "admin:oauth_registrationtoken_changelist"
PAGES = ("oauth_registrationtoken_changelist", "oauth_registrationtoken_delete")


class RegistrationTokenAdmin(ListAdmin):
    """The admin of registration tokens, for superusers. A command creates tokens."""

    list_display = (
        *("__str__", "clients_left", "scope", "services", "created_at", "expires_at", "link"),
    )
    list_display_links = None
    ordering = ("-created_at",)
    actions = None

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the list and of the form."""
        return [url for url in super().get_urls() if url.name in PAGES]

    @admin.display(description=gettext_lazy("audiences"))
    def services(self, token: RegistrationToken) -> str:
        """Return the services for which the apps get access tokens."""
        return ", ".join(token.audiences) or "-"

    @admin.display(description=gettext_lazy("Link"))
    def link(self, token: RegistrationToken) -> SafeString:
        """Return a link to the page that revokes the token."""
        return format_html(
            '<a href="{}">{} <span class="visually-hidden">{}</span></a>',
            reverse("admin:oauth_registrationtoken_delete", args=[token.pk]),
            _("Revoke"),
            token,
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Registration tokens")})

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask whether to revoke a token, and revoke it."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        # PostgreSQL would refuse a NUL character with an error.
        token = self.get_object(request, object_id) if object_id.isprintable() else None
        if token and request.method != "POST":
            shared = {**self.admin_site.each_context(request), "opts": self.opts}
            context = {**shared, "title": _("Revoke token"), "token": token}
            return render(request, "admin/oauth/registrationtoken/revoke.html", context)
        if token and registration_tokens.revoke(token, staff_of(request)):
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
