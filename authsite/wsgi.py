"""The WSGI application. It runs in the production environment unless ENVIRONMENT is set."""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.core.signals import setting_changed
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

# While modules are imported, the garbage collector finds almost nothing, but takes a tenth of the
# time.
gc.disable()


@contextmanager
def _replaced(modules: Mapping[str, Any]) -> Iterator[None]:
    """Return a context manager in which imports find ``modules``. None means not installed.

    Own apps are imported later, and find the real modules.
    """
    missing = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(missing)
    yield
    for name in missing:
        del sys.modules[name]


def _request_factory(*args: Any, **options: Any) -> Any:
    from rest_framework.test import APIRequestFactory  # noqa: PLC0415 it imports all of unittest

    return APIRequestFactory(*args, **options)


# REST framework imports these modules for features that the site does not use: 11 MiB with SQLite.
UNUSED = ("django.contrib.postgres.fields", "pygments", "requests", "yaml")
# Two libraries import these modules for one name each, and with them ``unittest``, which takes a
# fifth of the start-up time.
TEST = ("django.test", "django.test.signals", "rest_framework.test")
_test = SimpleNamespace(APIRequestFactory=_request_factory, setting_changed=setting_changed)
with _replaced(dict.fromkeys(UNUSED)):
    import_module("rest_framework.compat")
with _replaced(dict.fromkeys(TEST, _test)):
    import_module("rest_framework_simplejwt.settings")
    import_module("drf_spectacular.plumbing")

django = get_wsgi_application()

from authsite import background  # noqa: E402 it imports models, which need Django to be set up
from authsite.middleware import Utf8WSGIRequest  # noqa: E402 the same
from authsite.short_path import ShortPath  # noqa: E402 the same

django.request_class = Utf8WSGIRequest
application = ShortPath(django)
background.start()
# All loaded objects stay in memory. If a collection skips them, it pauses requests for a shorter
# time.
gc.freeze()
gc.enable()
