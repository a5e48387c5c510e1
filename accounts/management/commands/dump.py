"""``dump``: write the settings file that describes this site."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.settingsfile import services


class Command(BaseCommand):
    """Prints the digests of the secrets of apps, and no secret of a webhook."""

    help = "Print apps, groups and the like, as a file for `apply`. It has no secrets."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(services.dump(settings.AUTHSITE.origin))
