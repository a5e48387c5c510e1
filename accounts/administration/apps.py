"""The app configuration of ``accounts.administration``, and the personal data in its tables."""

from django.apps import AppConfig

from accounts.common.personal_data import describe, internal


class AdministrationConfig(AppConfig):
    """Configures the support desk in the admin."""

    name = "accounts.administration"
    default_auto_field = "django.db.models.BigAutoField"
    export_words = ("accounts.administration.bulk.WORDS",)


describe(
    "administration.BulkAct",
    "staff",
    {
        "act reason created_at started_at ended_at stopped": "what was done, when and why",
        "id": internal("identifies the act"),
    },
    purpose="Acts of staff on many people.",
    kept="30 days",
)
describe(
    "administration.BulkPerson",
    "user",
    {"outcome": "what was done with the person", "id bulk": internal("the act")},
    purpose="The people whom an act on many people concerns.",
    kept="30 days",
)
