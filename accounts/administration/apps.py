"""The app configuration of ``accounts.administration``, and the personal data in its tables."""

from django.apps import AppConfig

from accounts.common.personal_data import describe, internal


class AdministrationConfig(AppConfig):
    """Configures the support desk in the admin."""

    name = "accounts.administration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Describe the values in the tables of this app in words."""
        from accounts.administration import bulk
        from accounts.exports import words

        words.VALUES["administration.BulkAct.act"] = words.one_of(
            {name: kind.label for name, kind in bulk.KINDS.items()}
        )
        words.VALUES["administration.BulkAct.stopped"] = words.one_of(bulk.STOPS)
        words.VALUES["outcome"] = words.one_of(bulk.OUTCOMES)


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
