"""``after_restore``: erase accounts and revoke access that a backup may have restored.

Accounts that were deleted after the backup exist again. The log of deletions says which. An account
that was waiting for its deletion may have been kept by its owner after the backup. Therefore the
days to undo the deletion begin again, at least 14 even if ``DELETION_DAYS`` is less, and every
address is notified.

Access that was revoked after the backup is valid again. The command cannot know what was revoked.
Therefore it revokes everything that gives access without a new sign-in, such as all sessions and
API keys. The history of each account lists what was revoked.

Each transaction handles some thousands of people in a few statements. If the command is stopped,
run it again.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import F, Q

from accounts.activity import events, notices
from accounts.activity import services as activity
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.common import clock, secrets
from accounts.common.database import delete_in_batches, read_in_batches
from accounts.deletion import erasure
from accounts.deletion import services as requests
from accounts.mail.services import mass_mail
from accounts.management.answers import COMMAND_LINE
from accounts.recovery.models import Recovery
from accounts.recovery.services import NO_REQUEST
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import BrowserSession, LoginSession, is_live
from accounts.tokens import keyring
from accounts.users.models import LOCKED, User, locked_password

# The number of people whose sessions one transaction revokes. PostgreSQL cancels statements after a
# few seconds, and people may have dozens of sessions.
PEOPLE = 5000
# The minimum number of days in which owners can undo a deletion again.
DAYS_TO_UNDO = 14
NOBODY, AFFECTED, ALL = "none", "affected", "all"
WHO_IS_TOLD = {
    NOBODY: "Nobody is notified.",
    AFFECTED: "Owners of API keys and people with an app that stays connected are notified: {}.",
    ALL: "Everybody with a session or an API key is notified.",
}


class Command(BaseCommand):
    """Revokes everything that a restored backup has brought back.

    Run this command before the site starts. Running it again is harmless.
    """

    help = (
        "Delete again the accounts that were deleted after the backup, and revoke every session, "
        "API key, trusted browser, emailed code, registration token and signing key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        deletions = parser.add_mutually_exclusive_group()
        deletions.add_argument(
            "--deletions",
            type=Path,
            metavar="FILE",
            help="the newest copy of DELETION_LOG, as beside each backup, if DELETION_LOG was lost",
        )
        deletions.add_argument(
            "--no-deletions", action="store_true", help="no account was deleted after the backup"
        )
        parser.add_argument(
            "--lock-passwords",
            action="store_true",
            help="lock every password until it is reset by email: stolen passwords that were "
            "changed after the backup are valid again",
        )
        parser.add_argument(
            "--notify",
            choices=WHO_IS_TOLD,
            default=AFFECTED,
            help="who is notified by email: owners of API keys and people with an app that stays "
            "signed in, unless you choose otherwise",
        )

    def handle(
        self,
        *_args: Any,
        lock_passwords: bool,
        deletions: Path | None,
        no_deletions: bool,
        notify: str,
        **_options: Any,
    ) -> None:
        # Deletions come first, because later steps notify the owners of accounts.
        if not no_deletions:
            self._delete_again(deletions)
        if connection.vendor == "postgresql":
            # ``pg_restore`` leaves no statistics. Without them, PostgreSQL reads whole tables for
            # each portion.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        told = {NOBODY: set[UUID](), AFFECTED: _affected(), ALL: None}[notify]
        total = self._state_counts(WHO_IS_TOLD[notify].format(len(told or ())))
        # A recovery request may have been stopped after the backup.
        Recovery.objects.update(**NO_REQUEST)
        # Links in notices stay valid, because they can only lock an account.
        delete_in_batches(Code.objects.exclude(purpose=notices.LINK.name))
        connected.apps().revoke_after_restore()
        # PostgreSQL uses TRUNCATE. The session of each row is revoked below, if it has one.
        flush = connection.ops.sql_flush(no_style(), [BrowserSession._meta.db_table])
        connection.ops.execute_sql_flush(flush)
        keyring.rotate(now=True)
        due = clock.now() + timedelta(days=max(settings.AUTHSITE.deletion_days, DAYS_TO_UNDO))
        for user in User.objects.exclude(deletion_due=None):
            requests.request(user, COMMAND_LINE, due)
        mass = secrets.public_id()
        done = ended = keys = 0
        for ids in read_in_batches(User.objects.values_list("pk"), PEOPLE):
            with mass_mail(mass):
                counts = _revoke(ids, told, lock_passwords=lock_passwords)
            done, ended, keys = done + len(ids), ended + counts[0], keys + counts[1]
            if total > PEOPLE:
                self.stdout.write(f"{done:,} of {total:,} accounts are done.")
        self.stdout.write(f"{ended} sessions and {keys} API keys were revoked.")

    def _state_counts(self, who_is_told: str) -> int:
        """Write what will be revoked, and return the number of accounts."""
        total, keys = User.objects.count(), APIKey.objects.count()
        live = LoginSession.objects.filter(is_live(clock.now())).count()
        self.stdout.write(
            f"{total:,} accounts have {live:,} sessions and {keys:,} API keys, which are revoked "
            f"now. {who_is_told}"
        )
        return total

    def _delete_again(self, copy: Path | None) -> None:
        """Erase the accounts in ``copy`` and in ``DELETION_LOG``, if there is one."""
        files = dict.fromkeys((copy or erasure.log_file(), erasure.log_file()))
        try:
            user_ids = [
                user_id
                for file in files
                if file == copy or not copy or file.exists()
                for user_id in erasure.read_log(file)
            ]
        except OSError as error:
            raise CommandError(
                f"{error.filename} cannot be read ({error.strerror}). Accounts that were deleted "
                "after the backup exist again. Pass the newest copy of DELETION_LOG, such as the "
                "one beside the newest backup, as --deletions FILE; or pass --no-deletions if no "
                "account was deleted."
            ) from None
        count = erasure.erase_restored(user_ids)
        erasure.clean_up(is_large_allowed=True)
        self.stdout.write(f"{count} accounts were deleted again.")


def _affected() -> set[UUID]:
    """Return the ids of people who have programs or apps that work without a browser."""
    owners = APIKey.objects.values_list("user", flat=True)
    return {*owners, *sessions.of_lasting_apps().values_list("user", flat=True)}


@transaction.atomic
def _revoke(
    ids: list[tuple[UUID]], told: set[UUID] | None, *, lock_passwords: bool
) -> tuple[int, int]:
    """Revoke all access to the accounts with ids from the first to the last of ``ids``.

    Return the number of revoked sessions and the number of revoked API keys.

    ``told``: the ids of people who are notified, or None for everybody.
    """
    (first,), (last,) = ids[0], ids[-1]
    people, whose = User.objects.filter(pk__range=(first, last)), Q(user__gte=first, user__lte=last)
    # The new version invalidates trusted browsers and pending sign-ins.
    people.update(credential_version=F("credential_version") + 1)
    if lock_passwords:
        # Locked accounts are left out: their password field contains the hash that proves
        # ownership.
        rows = people.exclude(password__startswith=LOCKED)
        rows.update(password=locked_password(), locked_at=None, horizon=None)
    keys = apikeys.revoke_of_many(whose)
    counts = sessions.revoke_of_many(whose)
    ended = {key.user_id: 0 for key in keys} | counts
    recorded = activity.record_many(
        [
            *((key.user_id, events.KEY_ENDED, key.name) for key in keys),
            *((user_id, events.ALL_ENDED, str(count)) for user_id, count in ended.items()),
        ],
        COMMAND_LINE,
    )
    people = people.filter(pk__in=recorded.keys() if told is None else recorded.keys() & told)
    notices.tell_many((user, recorded[user.pk]) for user in people.prefetch_related("emails"))
    return sum(counts.values()), len(keys)
