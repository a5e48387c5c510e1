"""``python -m authsite``: the site on its production server, granian."""

import os
import sys
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

# Argon2 leaves the interpreter while it hashes: with this many threads, and hashing bounded
# apart, the other pages stay quick while many people sign in.
THREADS = 16


def main() -> None:
    """Serve until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    try:
        config = settings.AUTHSITE
    except ImproperlyConfigured as error:
        sys.exit(f"authsite does not start:\n{error}")
    sys.stdout.write(f"{config.site_name} is at {config.origin}\n")
    mail = urlsplit(config.email_url)
    if config.development and mail.scheme == "file":
        sys.stdout.write(f"Mail goes to {unquote(mail.path)}, shown at {config.origin}/dev/mail/\n")
    elif config.development:
        # The address as a whole would show its password.
        sys.stdout.write(f"Mail goes out by {mail.hostname}\n")
    sys.stdout.flush()
    Granian(
        "authsite.wsgi:application",
        address=config.bind,
        port=config.port,
        interface=Interfaces.WSGI,
        blocking_threads=THREADS,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
    ).serve()


if __name__ == "__main__":
    main()
