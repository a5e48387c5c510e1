"""``after_restore``: erase accounts and revoke access that a backup may have brought back.

Accounts that were deleted after the backup exist again. The log of deletions says which. The owner
of an account that was to be deleted may have kept it after the backup. Therefore the days to undo
the deletion begin again, and every address is told.

What was revoked after the backup is valid again once the backup is restored. The command cannot
know what that is. Therefore it revokes everything that gives access without a new sign-in, such as
all sessions and API keys. The history of each account lists what was revoked, and owners of API
keys are notified by email.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import F

from accounts.activity import notices
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.deletion import erasure
from accounts.deletion import services as requests
from accounts.management.answers import COMMAND_LINE
from accounts.recovery.models import Recovery
from accounts.recovery.services import NO_REQUEST
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import BrowserSession
from accounts.tokens import keyring
from accounts.users.models import LOCKED, User, locked_password


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

    def handle(
        self,
        *_args: Any,
        lock_passwords: bool,
        deletions: Path | None,
        no_deletions: bool,
        **_options: Any,
    ) -> None:
        # First, because owners of revoked API keys are notified.
        if not no_deletions:
            self._delete_again(deletions)
        with transaction.atomic():
            # A new version invalidates trusted browsers and pending sign-ins.
            User.objects.update(credential_version=F("credential_version") + 1)
            if lock_passwords:
                # Not locked accounts, whose password field contains the hash that proves ownership.
                rows = User.objects.exclude(password__startswith=LOCKED)
                rows.update(password=locked_password(), locked_at=None, horizon=None)
            # A request may have been stopped after the backup.
            Recovery.objects.update(**NO_REQUEST)
            # Links in notices stay valid, because all they can do is lock an account.
            Code.objects.exclude(purpose=notices.LINK.name).delete()
            connected.apps().revoke_after_restore()
            BrowserSession.objects.filter(login_session=None).delete()
        keyring.rotate(now=True)
        for user in User.objects.exclude(deletion_due=None):
            requests.request(user, COMMAND_LINE)
        having = sessions.signed_in(User.objects.all()) | User.objects.filter(
            pk__in=APIKey.objects.values("user")
        )
        counts = [_end_of(user) for user in having]
        ended, keys = (sum(count) for count in zip(*counts, strict=True)) if counts else (0, 0)
        self.stdout.write(f"{ended} sessions and {keys} API keys were revoked.")

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


@transaction.atomic
def _end_of(user: User) -> tuple[int, int]:
    """Revoke the sessions and API keys of ``user``.

    Returns the number of revoked sessions and the number of revoked API keys.
    """
    keys = [key.pk for key in apikeys.of(user) if apikeys.revoke(user, key.pk, COMMAND_LINE)]
    return sessions.revoke_by_operator(user, COMMAND_LINE), len(keys)
