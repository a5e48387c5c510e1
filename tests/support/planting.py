"""Plants a mark in each column that can hold text about a person, to look for it as bytes later.

site.manage("shell", "--no-imports", "-c", PLANT.format("alice"))
"""

import json
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models

from accounts.common import clock, secrets
from accounts.common.personal_data import RECIPIENT, TABLES, Table
from accounts.users.models import User
from tests.support.steps import make_user

PLANT = "from tests.support.planting import plant; plant('{}')"
# Rows that do not say whose they are, and ids that must stay.
NOBODYS = {
    *("oauth.UnreadRequest", "oauth.DeviceAuthorization", "oauth.LogoutNotice"),
    "webhooks.Delivery",
}
# Values that the site reads. Digests and formats cannot contain text that a person chooses.
READ = {"language": "en", "time_zone": "UTC", "password": "!", "kind": "email"}
TEXTS = (models.CharField, models.TextField, models.JSONField)


class Planter:
    """Writes a row of ``user`` into each table of the inventory. ``marks``: what was written."""

    def __init__(self, user: User, other: User) -> None:
        self.user, self.other = user, other
        self.marks: list[str] = []
        self._numbers = count()
        self._rows: dict[Any, models.Model] = {User: user}
        email = user.emails.values_list("key", flat=True)[0]
        recipient = secrets.digest(email, RECIPIENT)
        self._found_by: dict[str, dict[str, Any]] = {
            "accounts.Username": {"former": user},
            "accounts.FamiliarPlace": {"owner": user.pk},
            "accounts.CreatingCall": {"owner": user.pk},
            "accounts.PendingSignup": {"email_key": email},
            "accounts.Code": {"subject": f"{user.pk} 1"},
            "accounts.Invitation": {"email_key": email, "invited_by": other},
            "accounts.OutgoingMail": {"recipient": recipient},
            "accounts.MailReceipt": {"recipient": recipient},
            "admin.LogEntry": {
                "user": other,
                "content_type": ContentType.objects.get_for_model(User),
                "object_id": str(user.pk),
            },
            "oauth.AuthorizationRequest": {"subject": user.pk},
        }

    def plant(self, table: Table) -> None:
        """Write a row with first marks, and replace them by others where that is possible."""
        model: Any = apps.get_model(table.label)
        row = self._rows.get(model) or self._new(model)
        texts = [f for f in model._meta.concrete_fields if self._takes_mark(f, table.label)]
        if row is not self.user:
            row.save(force_insert=True)
            self._rows[model] = row
        second = {field.attname: self._mark(field) for field in texts if not field.primary_key}
        if second:
            models.QuerySet(model).filter(pk=row.pk).update(**second)

    def _new(self, model: Any) -> Any:
        given = self._found_by.get(model._meta.label, {})
        fields = [f for f in model._meta.concrete_fields if f.name not in given]
        values = {
            f.attname: self._value(f, model._meta.label)
            for f in fields
            if not isinstance(f, models.AutoField)
        }
        return model(**given, **{name: value for name, value in values.items() if value})

    def _value(self, field: Any, label: str) -> Any:
        if field.is_relation:
            is_persons = field.related_model._meta.label in TABLES.keys() - NOBODYS
            return self._key(field) if is_persons or not field.null else None
        if isinstance(field, TEXTS):
            return self._mark(field) if self._takes_mark(field, label) else READ[field.name]
        if isinstance(field, models.BinaryField):
            return self._mark(field).encode()
        if isinstance(field, models.UUIDField):
            return uuid4()
        if isinstance(field, models.DateTimeField):
            return clock.now() + timedelta(days=1)
        return 1

    def _key(self, field: Any) -> Any:
        """Return the key of the user's row in the table that ``field`` refers to."""
        related: Any = field.related_model
        if related not in self._rows:
            if related._meta.label in TABLES:
                self.plant(TABLES[related._meta.label])
            else:
                self._rows[related] = related.objects.first() or related.objects.create()
        return self._rows[related].pk

    def _takes_mark(self, field: Any, label: str) -> bool:
        is_text = isinstance(field, TEXTS) and not field.is_relation and field.name not in READ
        is_name = label == "accounts.User" and field.name in {"username", "username_key", "email"}
        return is_text and not is_name and field.name not in self._found_by.get(label, {})

    def _mark(self, field: Any) -> Any:
        mark = f"zq{next(self._numbers):04}zq"
        self.marks.append(mark)
        return {"mark": mark} if isinstance(field, models.JSONField) else mark


def plant(username: str) -> None:
    """Plant marks in all tables for the user ``username``, and print them as JSON."""
    user, other = User.objects.get(username=username), make_user("carol")
    planter = Planter(user, other)
    for table in TABLES.values():
        if table.label not in NOBODYS and apps.get_model(table.label) not in planter._rows:
            planter.plant(table)
    print(json.dumps(planter.marks))  # noqa: T201 the caller reads it
