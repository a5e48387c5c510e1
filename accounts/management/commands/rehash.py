"""``rehash``: replace the weak password hashes of imported accounts with Argon2id hashes."""

from typing import Any

from django.core.management.base import CommandError

from accounts.management.answers import ResultCommand
from accounts.passwords import foreign, mix


class Command(ResultCommand):
    """The site may run meanwhile. The command may be stopped, and continues when run again."""

    help = "Hash the weak hashes of imported accounts (MD5, SHA-1, phpass…) with Argon2id."

    def answer(self, **_options: Any) -> dict[str, Any]:
        outcome = foreign.rewrite(
            foreign.wrap, lambda done: self.stderr.write(f"{done} hashes so far")
        )
        mix.store()
        if outcome.lost:
            raise CommandError(
                f"{outcome.changed} hashes were hashed again. No key of ENCRYPTION_KEYS decrypts "
                f"those of: {', '.join(outcome.lost)}"
            )
        return {"hashed_again": outcome.changed}
