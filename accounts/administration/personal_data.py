"""The part of the inventory of personal data that is about staff. It imports no models."""

from accounts.common.personal_data import describe, internal

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
