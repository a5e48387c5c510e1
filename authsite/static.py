"""Static files: which are collected, and under which names they are served.

A collected file is compressed once and named after a hash of its content, so that browsers can
cache it forever.
"""

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class Files(StaticFilesConfig):
    """The app for static files. It leaves out files that only unused pages of libraries need."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "account", "redoc", "rest_framework"]


class Storage(CompressedManifestStaticFilesStorage):
    """Serves files under hashed names once they are collected, and before that under their own."""

    # JavaScript modules import each other under hashed names, too.
    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        return super().stored_name(name) if settings.STATIC_ROOT else name
