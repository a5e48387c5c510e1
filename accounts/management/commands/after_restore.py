"""``after_restore``: what was revoked since a backup was made must not come back with it.

Nobody knows any more what that was. So everything goes that opens an account without a new proof;
what it was is in each account's history, and the owners of keys are told.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.db.models import F, Q

from accounts.activity import notices
from accounts.activity.services import OPERATOR, Actor
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.common import clock
from accounts.sessions import services as sessions
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.tokens import keyring
from accounts.users.models import LOCKED, User, locked_password


class Command(BaseCommand):
    """Run it before the site starts; it may be run again."""

    help = "Revoke every session, API key, trusted browser, emailed code and signing key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether passwords are trusted."""
        parser.add_argument(
            "--lock-passwords",
            action="store_true",
            help="make everybody set a new password by email: a stolen one may have been replaced "
            "after the backup",
        )

    def handle(self, *_args: Any, lock_passwords: bool, **_options: Any) -> None:
        """End them, and say how many."""
        with transaction.atomic():
            # Trust in browsers, waiting periods and sign-ins under way are of this version.
            User.objects.update(credential_version=F("credential_version") + 1)
            if lock_passwords:
                # The password that proves ownership of a locked account stays.
                rows = User.objects.exclude(password__startswith=LOCKED)
                rows.update(password=locked_password(), disputed_at=None)
            # The links of notices stay: they only ever lock an account down.
            Code.objects.exclude(purpose=notices.LINK.name).delete()
            BrowserSession.objects.filter(login_session=None).delete()
        keyring.rotate(now=True)
        now = clock.now()
        live = LoginSession.objects.filter(ended_at=None, idle_at__gt=now, ends_at__gt=now)
        having = Q(pk__in=live.values("user")) | Q(pk__in=APIKey.objects.values("user"))
        counts = [_end_of(user) for user in User.objects.filter(having)]
        ended, keys = (sum(count) for count in zip(*counts, strict=True)) if counts else (0, 0)
        self.stdout.write(f"{ended} sign-ins and {keys} API keys were ended.")


@transaction.atomic
def _end_of(user: User) -> tuple[int, int]:
    """How many sign-ins and keys of ``user`` have ended."""
    actor = Actor(name=OPERATOR)
    keys = [key.pk for key in apikeys.of(user) if apikeys.revoke(user, key.pk, actor)]
    return sessions.revoke_by_operator(user, actor), len(keys)
