"""Finds the objects that apps offer to packages that must not import these apps.

They are imported at their first use instead of in ``AppConfig.ready``, because most commands need
none of them.
"""

from typing import Any

from django.apps import apps
from django.utils.module_loading import import_string


def registered(attribute: str) -> list[Any]:
    """Return the objects whose dotted paths the configurations of apps list in ``attribute``."""
    paths = (path for config in apps.get_app_configs() for path in getattr(config, attribute, ()))
    return [import_string(path) for path in paths]
