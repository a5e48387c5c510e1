"""Defines which static files are collected, and the names under which they are served.

A collected file is compressed once, and its name contains a hash of its content, so that browsers
can cache the file forever.
"""

from threading import Lock
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.http import HttpRequest, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
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


class Middleware(WhiteNoiseMiddleware):
    """Serves static files. It lists them at the first request, not during the start."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock, self._is_listed = Lock(), False
        super().__init__(*args, **options)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not self._is_listed and request.path_info.startswith(self.static_prefix):
            self._list()
        response: HttpResponseBase = super().__call__(request)
        return response

    def add_files(self, *_args: Any, **_options: Any) -> None:
        """Do not list the collected files during the start, as WhiteNoise would."""

    def add_files_from_finders(self) -> None:
        """Do not search for files during the start, as WhiteNoise would."""

    def _list(self) -> None:
        with self._lock:
            if self._is_listed:
                return
            if self.static_root:
                super().add_files(self.static_root, prefix=self.static_prefix)
            if self.use_finders:
                super().add_files_from_finders()
            self._is_listed = True
