"""How packages of lower layers reach packages of higher layers, which they must not import."""

from typing import Any

from django.apps import apps
from django.dispatch import Signal
from django.utils.module_loading import import_string

# Sent when a credential is added, changed or removed, in the transaction of the change. Arguments:
# ``user``; ``event``, the name of an event in ``accounts.activity.events``; ``actor``, the person
# and client that made the change, or None; ``detail``, optional, such as the name of the
# credential; ``keep``, the id of the only session that stays signed in, or None; ``was_locked``,
# optional, whether this unlocks the account.
credentials_changed = Signal()

# Sent when Django's command ``createsuperuser`` creates an administrator. Arguments: ``username``,
# ``email``, and ``password``, the hash of the password.
superuser_requested = Signal()

# Sent when sessions have ended, in the same transaction. Arguments: ``rows``, these sessions
# and some that ended earlier; ``at``, the ``ended_at`` of these sessions; ``reason``, the
# name of the event that ended them, or an empty string.
sessions_ended = Signal()

# Sent when a person has shown a second factor. Arguments: ``user``; ``proof``, with the id of the
# factor as its ``key``; ``actor``, the person and client that showed the factor.
factor_proved = Signal()


def registered(attribute: str) -> list[Any]:
    """Return the objects whose dotted paths the configurations of apps list in ``attribute``.

    They are imported here instead of in ``AppConfig.ready``, because most commands need none.
    """
    paths = (path for config in apps.get_app_configs() for path in getattr(config, attribute, ()))
    return [import_string(path) for path in paths]
