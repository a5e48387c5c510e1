"""The app configuration of ``accounts.scim``, and the personal data in its tables."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from accounts.common.personal_data import describe, internal, not_personal


class ScimConfig(AppConfig):
    """Configures the SCIM server."""

    name = "accounts.scim"
    verbose_name = _("Directories")
    default_auto_field = "django.db.models.BigAutoField"
    settings_file = ("accounts.scim.settings_file.Directories",)

    def ready(self) -> None:
        """Register the permissions."""
        from accounts.administration import roles

        roles.register(
            self.label,
            {
                "view_directory": _("See directories"),
                "add_directory": _("Add directories"),
                "change_directory": _("Change directories"),
            },
        )


describe(
    "scim.ManagedUser",
    "user",
    {
        "user_name external_id created_at": "how the other system names the person, and since when",
        "user directory user_name_key is_switched_off": internal(
            "finds and changes the account by SCIM"
        ),
    },
    purpose="People whom another system of the operator manages by SCIM.",
    kept="as long as the account exists, or until the other system deletes the person",
)
not_personal("It is about another system, not about people.", "scim.Directory")
not_personal("It is about a group, not about its members.", "scim.ManagedGroup")
