"""The app configuration of ``accounts.administration``."""

from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    """Configures the support desk in the admin."""

    name = "accounts.administration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Describe the personal data in the tables of this app, with words for its values."""
        from accounts.administration import (
            bulk,
            personal_data,  # noqa: F401 describes its tables
        )
        from accounts.exports import words

        words.VALUES["administration.BulkAct.act"] = words.one_of(
            {name: kind.label for name, kind in bulk.KINDS.items()}
        )
        words.VALUES["administration.BulkAct.stopped"] = words.one_of(bulk.STOPS)
        words.VALUES["outcome"] = words.one_of(bulk.OUTCOMES)
