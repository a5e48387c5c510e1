"""Starts the background work of a server process.

Import this module after Django is set up, because it imports models.
"""

import sys
from threading import Thread

from django.conf import settings

from accounts.activity import services as activity
from accounts.common import logs
from accounts.common.background import Background
from accounts.common.leases import Deliveries
from accounts.exports import services as exports
from accounts.mail import services as mail
from accounts.ops import health
from accounts.passwords import mix
from authsite import telemetry


def start() -> None:
    """Configure the log and telemetry, and start the threads of the server process.

    The threads wait until the database is migrated. If Redis does not answer, log a warning.
    """
    logs.configure(settings.LOGGING)
    activity.stream = sys.stdout
    telemetry.start()
    health.wait(_start_threads)
    if settings.AUTHSITE.redis_url:
        from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

        Thread(target=redis_store.can_write, name="redis", daemon=True).start()


def _start_threads() -> None:
    mail.start()
    exports.start()
    Background("authsite.hash_mix", mix.refresh).start()
    Deliveries().start()
