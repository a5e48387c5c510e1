"""Defines which static files are collected, and the names under which they are served.

A collected file is compressed once, and its name contains a hash of its content, so that browsers
can cache the file forever.
"""

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class Files(StaticFilesConfig):
    """The app for static files, without the files of libraries that no page of this site uses."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "account", "redoc", "rest_framework"]


class Storage(CompressedManifestStaticFilesStorage):
    """Gives collected files a name with a hash. Files that are not collected keep their names."""

    # Imports between JavaScript modules use the names with a hash, too.
    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        return super().stored_name(name) if settings.STATIC_ROOT else name
