"""``reencrypt``: encrypt stored secrets with the newest key of ``ENCRYPTION_KEYS``."""

from itertools import chain
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from accounts.common import crypto
from accounts.common.database import read_in_batches
from accounts.exports.models import ExportPart
from accounts.exports.services import PURPOSE as EXPORT
from accounts.mail.models import OutgoingMail
from accounts.mail.services import PURPOSE as OUTBOX
from accounts.passwords import foreign
from accounts.tokens.keyring import PURPOSE as SIGNING_KEY
from accounts.tokens.models import SigningKey
from accounts.twofactor.models import CODES_PURPOSE, SEED_PURPOSE, Authenticator, RecoveryCodes
from accounts.users.models import FormerCredential
from accounts.webhooks.models import Endpoint
from accounts.webhooks.services import PURPOSE as WEBHOOK

BATCH = 500
# For every encrypted column: the name in the output, the model, the field and the purpose.
SEALED: tuple[tuple[str, type[Model], str, str], ...] = (
    ("exports", ExportPart, "sealed", EXPORT),
    ("mails", OutgoingMail, "sealed", OUTBOX),
    ("seeds", Authenticator, "sealed_seed", SEED_PURPOSE),
    ("recovery codes", RecoveryCodes, "sealed", CODES_PURPOSE),
    ("signing keys", SigningKey, "private", SIGNING_KEY),
    ("webhook secrets", Endpoint, "secret", WEBHOOK),
    ("former webhook secrets", Endpoint, "former_secret", WEBHOOK),
)


class Command(BaseCommand):
    """The site may run during this command if all its processes were started with the new key."""

    help = "Encrypt stored secrets with the first of ENCRYPTION_KEYS, so that the others can go."

    def handle(self, *_args: Any, **_options: Any) -> None:
        counts, lost = [], []
        for what, model, field, purpose in SEALED:
            done = 0
            # The private half of a withdrawn signing key is empty.
            rows = model._default_manager.exclude(**{field: ""}).values_list("pk", field)
            for pk, sealed in chain.from_iterable(read_in_batches(rows, BATCH)):
                try:
                    fresh = crypto.reseal(sealed, purpose)
                except InvalidToken:
                    lost.append(f"{what} {pk}")
                    continue
                # A value that has changed meanwhile is already encrypted with the newest key.
                same = model._default_manager.filter(**{"pk": pk, field: sealed})
                done += same.update(**{field: fresh})
            counts.append(f"{done} {what}")
        counts.append(f"{_reseal_former(lost)} former factors")
        hashes = foreign.rewrite(foreign.reseal)
        counts.append(f"{hashes.changed} hashes")
        lost += (f"the hash of {row}" for row in hashes.lost)
        self.stdout.write(", ".join(counts))
        if lost:
            raise CommandError(f"No key of ENCRYPTION_KEYS decrypts: {', '.join(lost)}")


def _reseal_former(lost: list[str]) -> int:
    """Reencrypt suspended and removed second factors; return how many.

    Factors that no key can decrypt are added to ``lost``.
    """
    fields = {model._meta.label_lower: (field, purpose) for _, model, field, purpose in SEALED}
    kinds = (FormerCredential.Kind.FACTOR, FormerCredential.Kind.RECOVERY_CODES)
    done = 0
    rows = FormerCredential.objects.filter(kind__in=kinds).values_list("pk", "data")
    for pk, data in chain.from_iterable(read_in_batches(rows, BATCH)):
        field, purpose = fields.get(data["model"], ("", ""))
        if not field:
            # A passkey contains no secret.
            continue
        try:
            data["fields"][field] = crypto.reseal(data["fields"][field], purpose)
        except InvalidToken:
            lost.append(f"former factors {pk}")
            continue
        done += FormerCredential.objects.filter(pk=pk).update(data=data)
    return done
