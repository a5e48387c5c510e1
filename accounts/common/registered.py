"""Finds what apps offer to packages that must not import them.

Commands and the process that sends webhooks need none of it. Therefore it is imported when it is
asked for, and not in ``AppConfig.ready``.
"""

from typing import Any

from django.apps import apps
from django.utils.module_loading import import_string


def registered(attribute: str) -> list[Any]:
    """Return the objects that the installed apps offer.

    ``attribute``: the name of the attribute of their configurations that lists dotted paths.
    """
    paths = (path for config in apps.get_app_configs() for path in getattr(config, attribute, ()))
    return [import_string(path) for path in paths]
