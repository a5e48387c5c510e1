"""Exports all accounts as JSON lines, for another site of this kind or another program.

The first line describes the file; each further line is an account. ``docs/operating.md`` lists the
members. Accounts are read in batches, with one query for each table and batch.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.activity.events import EVENTS, Group
from accounts.activity.models import Activity
from accounts.common import clock, crypto
from accounts.common.database import read_in_batches
from accounts.common.personal_data import TABLES
from accounts.passwords.foreign import portable
from accounts.twofactor.models import CODES_PURPOSE, SEED_PURPOSE
from accounts.twofactor.webauthn import rp_id
from accounts.users.models import User

FORMAT, VERSION = "authsite-users", 1
BATCH = 500
OWN = (
    *("id", "username", "email", "display_name", "about", "language", "time_zone", "is_active"),
    *("is_staff", "is_superuser", "date_joined", "last_login", "password_at", "emailed_codes"),
    *("updated_at", "deletion_due", "given_name", "family_name"),
)


class _Part(NamedTuple):
    """A member of an account: a table, and its columns by their names in the file.

    ``is_secret``: whether the member is exported only together with the password hashes.
    """

    label: str
    columns: dict[str, str]
    is_secret: bool = False


def _same(names: str) -> dict[str, str]:
    return dict(zip(names.split(), names.split(), strict=True))


PARTS = {
    "emails": _Part("accounts.EmailAddress", _same("email confirmed_at vouched_at")),
    "groups": _Part("accounts.User_groups", {"name": "group__name"}),
    "permissions": _Part(
        "accounts.User_user_permissions",
        {"app": "permission__content_type__app_label", "codename": "permission__codename"},
    ),
    "terms": _Part("accounts.TermsAcceptance", _same("version accepted_at")),
    "providers": _Part(
        "accounts.Identity", _same("issuer subject label connected_at used_at suspended_at")
    ),
    "passkeys": _Part(
        "accounts.Passkey",
        _same(
            "name credential_id public_key sign_count transports aaguid is_synced is_eligible "
            "confirmed made_at used_at"
        ),
    ),
    "consents": _Part("oauth.Connection", _same("client_id audience scope since used_at")),
    "app_subjects": _Part("oauth.PairwiseSubject", _same("sector subject")),
    "totp": _Part(
        "accounts.Authenticator",
        _same("name last_t made_at used_at") | {"sealed": "sealed_seed"},
        is_secret=True,
    ),
    "recovery_codes": _Part(
        "accounts.RecoveryCodes", _same("name sealed made_at saved_at"), is_secret=True
    ),
}


def accounts(since: datetime | None = None) -> QuerySet[User]:
    """Return all accounts, or those that were created or changed since ``since``.

    Changes are found in the history, so changes before ``ACTIVITY_DAYS`` are not found.
    """
    rows = User.objects.order_by("pk")
    if since is None:
        return rows
    changes = [event.name for event in EVENTS.values() if event.group == Group.CHANGE]
    changed = Activity.objects.filter(user=OuterRef("pk"), at__gte=since, kind__in=changes)
    return rows.filter(Q(date_joined__gte=since) | Q(updated_at__gte=since) | Exists(changed))


def lines(found: QuerySet[User], *, has_secrets: bool) -> Iterator[str]:
    """Return the lines of the file for the accounts ``found``.

    ``has_secrets``: whether the file contains password hashes, the seeds of authenticator apps and
        the digests of recovery codes. Whoever reads it can sign in as anybody: encrypt it.

    Raises:
        cryptography.fernet.InvalidToken: no key of ``ENCRYPTION_KEYS`` decrypts a secret.
        ValueError: no key of ``ENCRYPTION_KEYS`` decrypts a password hash.
    """
    yield _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "site": settings.AUTHSITE.origin,
            "passkey_domain": rp_id(),
            "made_at": clock.now(),
            "has_secrets": has_secrets,
        }
    )
    names = [*OWN, *(["password"] if has_secrets else [])]
    parts = {
        name: part
        for name, part in PARTS.items()
        if (has_secrets or not part.is_secret) and part.label in TABLES
    }
    for batch in read_in_batches(found.values_list(*names), BATCH):
        of = {name: _rows(part, [row[0] for row in batch]) for name, part in parts.items()}
        for row in batch:
            own = dict(zip(names, row, strict=True))
            if has_secrets:
                own["password"] = portable(own["password"])
            yield _line(own | {name: _plain(name, rows[row[0]]) for name, rows in of.items()})


def _rows(part: _Part, ids: list[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """Return the rows of ``part`` by the id of their account."""
    found = apps.get_model(part.label)._default_manager.filter(user__in=ids).order_by("pk")
    rows: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for user_id, *values in found.values_list("user_id", *part.columns.values()):
        rows[user_id].append(dict(zip(part.columns, values, strict=True)))
    return rows


def _plain(name: str, rows: list[dict[str, Any]]) -> Any:
    """Return the value of the member ``name``: rows replaced by names, and secrets decrypted."""
    if name == "groups":
        return [row["name"] for row in rows]
    if name == "permissions":
        return [f"{row['app']}.{row['codename']}" for row in rows]
    if name == "totp":
        return [row | {"seed": crypto.unseal(row.pop("sealed"), SEED_PURPOSE)} for row in rows]
    if name == "recovery_codes":
        return [row | json.loads(crypto.unseal(row.pop("sealed"), CODES_PURPOSE)) for row in rows]
    return rows


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"
