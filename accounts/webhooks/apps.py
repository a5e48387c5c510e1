"""The app configuration of ``accounts.webhooks``, and the personal data in its tables."""

from django.apps import AppConfig
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.common.personal_data import describe, internal, not_personal


class WebhooksConfig(AppConfig):
    """Configures webhooks."""

    name = "accounts.webhooks"
    verbose_name = _("Webhooks")
    default_auto_field = "django.db.models.BigAutoField"
    settings_file = ("accounts.webhooks.settings_file.Webhooks",)

    def ready(self) -> None:
        """Register the functions that write and send webhooks, and that other packages call."""
        from accounts.activity import services as activity
        from accounts.administration import roles
        from accounts.common import leases
        from accounts.webhooks import services

        activity.FOLLOWERS.append(services.write)
        leases.register(services.WORK)
        roles.register(
            self.label,
            {
                "view_endpoint": _("See webhooks"),
                "add_endpoint": _("Add webhooks"),
                "change_endpoint": _("Change webhooks"),
            },
        )


describe(
    "webhooks.Delivery",
    lambda person: Q(subject=person.id),
    {
        "id endpoint event subject type body created_at due_at attempts lease sent_at answer": (
            internal("which other system hears of which event")
        ),
    },
    purpose="Events that other systems hear of, by ids. The security history has them, too.",
    kept="until a week after the other system has accepted it, but at most 3 days if it does not",
    remains="The other system must still hear that the account was deleted. The row contains ids "
    "only.",
)
not_personal("It is about another system, not about people.", "webhooks.Endpoint")
