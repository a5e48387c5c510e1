"""Finds objects that apps register for use by packages that may not import the apps.

The objects are imported at their first use instead of in ``AppConfig.ready``, because most commands
do not need them.
"""

from typing import Any

from django.apps import apps
from django.utils.module_loading import import_string


def registered(attribute: str) -> list[Any]:
    """Return the objects whose dotted paths the app configurations list in ``attribute``."""
    paths = (path for config in apps.get_app_configs() for path in getattr(config, attribute, ()))
    return [import_string(path) for path in paths]
