"""The admin pages of webhooks: the list, the form, the secret and the last deliveries."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.activity.events import TYPES
from accounts.activity.services import Actor
from accounts.administration import acts, known
from accounts.administration.act_views import ReasonForm, with_reason
from accounts.administration.known import Known
from accounts.common.errors import PublicError
from accounts.common.text import row_id
from accounts.sessions.current import staff_of
from accounts.signin.adminsite import ListAdmin, RowsField, chips
from accounts.users.models import User
from accounts.webhooks import services
from accounts.webhooks.models import Delivery, Endpoint

# How many of the last deliveries the page of an endpoint lists.
LISTED = 50


class EndpointForm(forms.ModelForm):
    """The form to add or change an endpoint."""

    reason = ReasonForm.base_fields["reason"]
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, name) for name in TYPES],
        help_text=gettext_lazy("docs/webhooks.md says what each of them means."),
    )
    groups = RowsField(
        Group.objects.order_by("name"),
        label=gettext_lazy("Only for people in these groups"),
        required=False,
        help_text=gettext_lazy("If you choose none, it’s told about everybody."),
    )

    class Meta:
        model = Endpoint
        fields = services.FIELDS
        help_texts = {
            "url": gettext_lazy("It begins with https://."),
            "is_private": gettext_lazy(
                "Only then may this site send requests to private IP addresses."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "reason" in self.fields:
            self.fields["reason"].help_text = _("All superusers can read it.")

    def clean_groups(self) -> list[int]:
        """Return the ids of the chosen groups, and of deleted ones, which nobody can choose."""
        known = set(Group.objects.values_list("pk", flat=True))
        lost = [group for group in self.instance.groups if group not in known]
        return [*lost, *(group.pk for group in self.cleaned_data["groups"])]


class EndpointAdmin(ListAdmin):
    """The admin of webhooks. A webhook is disabled, not deleted."""

    title = gettext_lazy("Webhooks")
    pages = ("changelist", "add", "change")
    form = EndpointForm
    fields = (*services.FIELDS, "reason")
    list_display = ("description", "url", "state")
    search_fields = ("description", "url")
    ordering = ("description",)
    actions = None
    change_form_template = "admin/webhooks/endpoint/change.html"

    @admin.display(description=gettext_lazy("state"))
    def state(self, endpoint: Endpoint) -> SafeString:
        """Return a chip for a disabled endpoint, and one for its format."""
        states = (
            (endpoint.disabled_at, "bad", _("Disabled")),
            (endpoint.is_of_tokens, "", _("Security Event Tokens")),
        )
        return chips((tone, label) for holds, tone, label in states if holds)

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the list, the form and the acts."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "secret": require_POST(partial(self._act, self._make_secret)),
            "enabled": require_POST(partial(self._act, self._set_enabled)),
            "test": require_POST(self.test_view),
            "again": require_POST(self.again_view),
        }
        return [
            *(
                path(
                    f"<uuid:id>/{name}/",
                    self.admin_site.admin_view(view),
                    name=f"webhooks_endpoint_{name}",
                )
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """Save the endpoint. The attribute ``new_secret`` of ``obj`` holds that of a new one."""
        actor = staff_of(request, form.cleaned_data["reason"])
        obj.new_secret = services.save_endpoint(obj, actor)

    def response_add(
        self, request: HttpRequest, obj: Endpoint, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the secret of the new endpoint."""
        return self._show(request, obj, obj.new_secret)

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        """Return what only superusers change: others could probe a private network by answers."""
        if cast(User, request.user).is_superuser:
            return []
        return ["is_private", *(["url"] if obj and obj.is_private else [])]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form, and the last deliveries."""
        context["show_save_and_add_another"] = False
        if endpoint := context["original"]:
            context["deliveries"] = endpoint.deliveries.order_by("-pk")[:LISTED]
        return super().render_change_form(request, context, *args, **kwargs)

    def _act(
        self,
        act: Callable[[HttpRequest, Endpoint, Actor], HttpResponse | None],
        request: HttpRequest,
        id: Any,
    ) -> HttpResponse:
        """Do ``act``; then, or if the reason is missing, show the page of the endpoint."""
        endpoint = self._find(request, id)
        shown = with_reason(request, partial(act, request, endpoint))
        return shown or self._back(endpoint)

    def _make_secret(
        self, request: HttpRequest, endpoint: Endpoint, actor: Actor
    ) -> HttpResponse | None:
        try:
            secret = services.rotate_secret(endpoint, actor, now="now" in request.POST)
        except services.SecretReplaced as error:
            messages.error(request, str(error))
            return None
        return self._show(request, endpoint, secret)

    def _set_enabled(self, request: HttpRequest, endpoint: Endpoint, actor: Actor) -> None:
        is_on = request.POST.get("enabled") == "yes"
        services.set_enabled(endpoint, actor, enabled=is_on)
        done = _("You’ve enabled the webhook.") if is_on else _("You’ve disabled the webhook.")
        messages.success(request, done)

    def test_view(self, request: HttpRequest, id: Any) -> HttpResponse:
        """Post a test event for the endpoint, and return to its page."""
        endpoint = self._find(request, id)
        return self._sent(request, endpoint, partial(services.send_test, endpoint))

    def again_view(self, request: HttpRequest, id: Any) -> HttpResponse:
        """Post the chosen delivery once more, and return to the page of the endpoint."""
        endpoint = self._find(request, id)
        rows = Delivery.objects.filter(endpoint=endpoint)
        delivery = get_object_or_404(rows, pk=row_id(request.POST.get("delivery", "")))
        return self._sent(request, endpoint, partial(services.send_again, delivery))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: webhooks are disabled instead."""
        return False

    def _sent(
        self, request: HttpRequest, endpoint: Endpoint, send: Callable[[User, Actor], None]
    ) -> HttpResponse:
        user, actor = cast(User, request.user), staff_of(request)
        try:
            acts.count(user, actor)
            send(user, actor)
        except PublicError as error:
            messages.error(request, str(error))
        else:
            sentence = _("It’s on its way. Reload this page to see the answer.")
            messages.success(request, sentence)
        return self._back(endpoint)

    def _back(self, endpoint: Endpoint) -> HttpResponse:
        return redirect("admin:webhooks_endpoint_change", endpoint.pk)

    def _find(self, request: HttpRequest, id: Any) -> Endpoint:
        """Return the endpoint with this id.

        Raises:
            PermissionDenied: the user may not change webhooks.
            Http404: there is no such endpoint.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        return get_object_or_404(Endpoint, pk=id)

    def _show(self, request: HttpRequest, endpoint: Endpoint, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **{"title": endpoint.description, "opts": self.opts},
            **{"endpoint": endpoint, "secret": secret},
        }
        return render(request, "admin/webhooks/endpoint/secret.html", context)


def secrets_known_to(user: User) -> Iterator[Known]:
    """Return the secrets that ``user`` has made, for the page about a departure."""
    for row in Endpoint.objects.filter(made_by=user.pk, disabled_at=None).order_by("-created_at"):
        url = reverse("admin:webhooks_endpoint_secret", args=[row.pk])
        action = gettext_lazy("End it and make a new one")
        kind = gettext_lazy("Secret of a webhook")
        fields = {"now": "1", "reason": _("Somebody who knows the secret leaves the team.")}
        yield Known(kind, str(row), row.created_at, action, url, fields)


known.SOURCES.insert(0, secrets_known_to)
admin.site.register(Endpoint, EndpointAdmin)
