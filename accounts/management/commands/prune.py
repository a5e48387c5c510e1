"""``prune``: erase accounts, delete expired rows, and email owners of API keys that expire soon.

Run this command daily. If it does not run, expired rows still have no effect, but owners of API
keys get no email.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.activity import daily
from accounts.activity import services as activity
from accounts.administration import bulk
from accounts.apikeys import services as apikeys
from accounts.calls import services as calls
from accounts.codes import services as codes
from accounts.codes.models import Code
from accounts.common import clock
from accounts.common.database import delete_in_batches
from accounts.deletion import erasure
from accounts.emails import services as emails
from accounts.exports import services as exports
from accounts.invitations import services as invitations
from accounts.mail import services as mail
from accounts.ops import measurements
from accounts.passwords import mix
from accounts.recovery import services as recovery
from accounts.recovery import suspension
from accounts.sessions import connected, known_browsers
from accounts.sessions import services as sessions
from accounts.signup import services as signup
from accounts.throttle import services as throttle
from accounts.throttle.models import FamiliarPlace, StoredBudget
from accounts.tokens import keyring, token_challenges
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.webhooks import services as webhooks

WAITING = (
    "Unused parts of the database file may contain values of {} deleted accounts: run prune "
    "--rewrite when few people use the site."
)


class Command(BaseCommand):
    """Deletes expired rows only to save space: the site never accepts one."""

    help = (
        "Delete expired data and the accounts whose deletion is due, and email the owners of API "
        "keys that expire within a week."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rewrite",
            action="store_true",
            help="after deletions, rewrite an SQLite database larger than 100 MB, too; others "
            "cannot write for so long",
        )

    def handle(self, *_args: Any, rewrite: bool = False, **_options: Any) -> None:
        now = clock.now()
        whole = StoredBudget.objects.filter(whole_at__lte=now.timestamp() * 1000)
        counts = {
            "accounts": erasure.erase_due(),
            "sign-ups": signup.prune(),
            "invitations": invitations.prune(),
            "addresses": emails.prune(),
            "codes": delete_in_batches(Code.objects.filter(expires_at__lte=now)),
            "sessions": sessions.prune(),
            "counts": daily.count_days(),
            "old counts": daily.prune() + throttle.prune(),
            "events": activity.prune(),
            "budgets": delete_in_batches(whole),
            "places": delete_in_batches(FamiliarPlace.objects.filter(until__lte=now)),
            "known browsers": known_browsers.prune(),
            "names": users.prune_names(),
            "recoveries": recovery.prune(),
            "reminders": recovery.remind(),
            "reviews": suspension.end_forgotten_reviews(),
            "former credentials": former_credentials.prune(),
            "challenges": token_challenges.prune(),
            "trusted browsers": trusted_browsers.prune(),
            "API keys": apikeys.prune(),
            "proofs that work once": codes.prune(),
            **connected.apps().prune(),
            "bulk acts": bulk.prune(),
            "exports": exports.prune(),
            "repeatable calls": calls.prune(),
            "receipts of emails": mail.prune(),
            "signing keys": keyring.prune(),
            "webhooks": webhooks.give_up() + webhooks.prune(),
        }
        twofactor.store_coverage()
        mix.store()
        apikeys.tell_of_ends()
        measurements.succeeded(measurements.PRUNE)
        self.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()))
        if waiting := erasure.clean_up(is_large_allowed=rewrite):
            self.stdout.write(WAITING.format(waiting))
