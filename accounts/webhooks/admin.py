"""The admin pages of webhooks: the list, the form, the secret and the last deliveries."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Min, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.events import TYPES
from accounts.activity.services import Actor
from accounts.administration import acts, known
from accounts.administration.known import Known, secret_of
from accounts.common.errors import PublicError
from accounts.common.localization import recent_date
from accounts.common.text import row_id
from accounts.sessions.current import staff_of
from accounts.signin.adminsite import RowsField, SecretAdmin, SecretForm
from accounts.users.models import User
from accounts.webhooks import services
from accounts.webhooks.models import Delivery, Endpoint

# The number of the last deliveries that the page of an endpoint lists.
LISTED = 50


class EndpointForm(SecretForm):
    """The form to add or change an endpoint."""

    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, name) for name in TYPES],
        help_text=gettext_lazy("docs/webhooks.md explains each event."),
    )
    groups = RowsField(
        Group.objects.order_by("name"),
        label=gettext_lazy("Only for people in these groups"),
        required=False,
        help_text=gettext_lazy("If you choose none, the webhook hears about everybody."),
    )

    class Meta:
        model = Endpoint
        fields = services.FIELDS
        help_texts = {
            "url": gettext_lazy("The URL must begin with https://."),
            "is_private": gettext_lazy("Switch this on to allow requests to private IP addresses."),
        }

    def clean_groups(self) -> list[int]:
        """Return the ids of the chosen groups, and of deleted groups, which are not offered."""
        known = set(Group.objects.values_list("pk", flat=True))
        lost = [group for group in self.instance.groups if group not in known]
        return [*lost, *(group.pk for group in self.cleaned_data["groups"])]


class EndpointAdmin(SecretAdmin):
    """The admin of webhooks. A webhook is disabled, not deleted."""

    title = gettext_lazy("Webhooks")
    form = EndpointForm
    fields = (*services.FIELDS, "reason")
    list_display = ("name", "events", "state", "last_delivery")
    search_fields = ("description", "url")
    ordering = ("description",)
    empty_value_display = gettext_lazy("Never")
    change_form_template = "admin/webhooks/endpoint/change.html"
    done = (
        gettext_lazy("You’ve disabled the webhook."),
        gettext_lazy("You’ve enabled the webhook."),
    )
    set_enabled = staticmethod(services.set_enabled)

    @admin.display(description=gettext_lazy("webhook"), ordering="description")
    def name(self, endpoint: Endpoint) -> SafeString:
        """Return the description and the URL of the endpoint."""
        return format_html(
            '<bdi>{}</bdi> <span dir="ltr">{}</span>', endpoint.description, endpoint.url
        )

    @admin.display(description=gettext_lazy("events"))
    def events(self, endpoint: Endpoint) -> str:
        """Return the types of events that the endpoint gets."""
        return ", ".join(endpoint.kinds)

    @admin.display(description=gettext_lazy("last delivery"))
    def last_delivery(self, endpoint: Any) -> str | None:
        """Return when the last event was written for the endpoint, and the answer to it."""
        last = Delivery(answer=endpoint.last_answer or "").outcome
        return endpoint.last_at and " · ".join(filter(None, [recent_date(endpoint.last_at), last]))

    def states(self, row: Any) -> Iterable[tuple[object, str, str]]:
        """Return since when the receiver accepts not everything, and the format."""
        since = row.failing_since and recent_date(row.failing_since)
        return (
            (since, "warn", _("Failing since: %(day)s") % {"day": since}),
            (row.is_of_tokens, "", _("Security Event Tokens")),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        """Return the endpoints, with the time of the last event and of the first that failed."""
        rows = Delivery.objects.filter(endpoint=OuterRef("pk"))
        failing = rows.filter(sent_at=None, attempts__gt=0).order_by().values("endpoint")
        return (
            super()
            .get_queryset(request)
            .annotate(
                failing_since=Subquery(failing.annotate(at=Min("created_at")).values("at")),
                last_at=Subquery(rows.order_by("-pk").values("created_at")[:1]),
                last_answer=Subquery(rows.order_by("-pk").values("answer")[:1]),
            )
        )

    def acts(self) -> dict[str, Callable[..., HttpResponse]]:
        """Return the views that act on an endpoint, by their names in URLs."""
        return {**super().acts(), "test": self.test_view, "again": self.again_view}

    def rotate(self, row: Endpoint, actor: Actor, posted: QueryDict) -> str:
        """Replace the secret of the endpoint, and return the new one."""
        return services.rotate_secret(row, actor, now="now" in posted)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """Save the endpoint."""
        actor = staff_of(request, form.cleaned_data["reason"])
        obj.new_secret = services.save_endpoint(obj, actor)

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        """Return the fields that this member of staff cannot change.

        Only superusers can choose private targets, because their responses reveal information about
        a private network.
        """
        if cast(User, request.user).is_superuser:
            return []
        return ["is_private", *(["url"] if obj and obj.is_private else [])]

    def context_of(self, row: Endpoint | None) -> dict[str, Any]:
        """Return the last deliveries."""
        return {"deliveries": row.deliveries.order_by("-pk")[:LISTED]} if row else {}

    def test_view(self, request: HttpRequest, id: Any) -> HttpResponse:
        """Send a test event to the endpoint, and redirect to its page."""
        endpoint = self.find(request, id)
        return self._sent(request, endpoint, partial(services.send_test, endpoint))

    def again_view(self, request: HttpRequest, id: Any) -> HttpResponse:
        """Send the chosen delivery once more, and redirect to the page of the endpoint."""
        endpoint = self.find(request, id)
        rows = Delivery.objects.filter(endpoint=endpoint)
        delivery = get_object_or_404(rows, pk=row_id(request.POST.get("delivery", "")))
        return self._sent(request, endpoint, partial(services.send_again, delivery))

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
            sentence = _("The event is on its way. The answer will be under “Last deliveries”.")
            messages.success(request, sentence)
        return self.back(endpoint)


def secrets_known_to(user: User) -> Iterator[Known]:
    """Return the valid secrets that ``user`` created, for the page of known secrets."""
    for row in Endpoint.objects.filter(made_by=user.pk, disabled_at=None).order_by("-created_at"):
        kind = gettext_lazy("Secret of a webhook")
        yield secret_of(kind, row, row.created_at, "webhooks_endpoint_secret", row.pk)


known.SOURCES.insert(0, secrets_known_to)
admin.site.register(Endpoint, EndpointAdmin)
