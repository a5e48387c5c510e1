"""The app configuration of ``accounts.administration``."""

from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    """Configures the support desk in the admin."""

    name = "accounts.administration"
    default_auto_field = "django.db.models.BigAutoField"
