"""The app configuration of ``accounts.administration``."""

from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    """Configures the support desk in the admin."""

    name = "accounts.administration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Describe the personal data in the tables of this app."""
        from accounts.administration import personal_data  # noqa: F401 describes its tables
