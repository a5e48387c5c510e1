"""Static files as they are collected: compressed once, and named after what is in them, so that
browsers keep them for ever."""

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class Files(StaticFilesConfig):
    """What is collected: not what only pages of libraries use that this site doesn't have."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "account", "redoc", "rest_framework"]


class Storage(CompressedManifestStaticFilesStorage):
    """Hashed names once they are there; until then, as in tests, every file by its own."""

    # Modules import each other by the hashed names, too.
    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        """What ``name`` is called in an address."""
        return super().stored_name(name) if settings.STATIC_ROOT else name
