"""The WSGI application. It runs in the production environment unless ENVIRONMENT is set."""

import gc
import os
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.core.signals import setting_changed
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

# While modules are imported, the garbage collector finds next to nothing, and takes a tenth of the
# time.
gc.disable()
# REST framework imports these for features that the site does not have: 11 MiB with SQLite.
# A module that is None here counts as not installed.
UNUSED = ("django.contrib.postgres.fields", "pygments", "requests", "yaml")
_nothing: Any = None
_hidden = {name: _nothing for name in UNUSED if name not in sys.modules}
sys.modules.update(_hidden)
import_module("rest_framework.compat")
for _name in _hidden:
    del sys.modules[_name]


def _request_factory(*args: Any, **options: Any) -> Any:
    from rest_framework.test import APIRequestFactory  # noqa: PLC0415 it imports all of unittest

    return APIRequestFactory(*args, **options)


# Two libraries import these for one name each, and with them ``unittest``: a fifth of the start.
_test: Any = SimpleNamespace(APIRequestFactory=_request_factory, setting_changed=setting_changed)
TEST = ("django.test", "django.test.signals", "rest_framework.test")
_stubs = {name: _test for name in TEST if name not in sys.modules}
sys.modules.update(_stubs)
django = get_wsgi_application()

from authsite import background  # noqa: E402 it imports models, which need Django to be set up
from authsite.middleware import Utf8WSGIRequest  # noqa: E402 the same
from authsite.short_path import ShortPath  # noqa: E402 the same

for _name in _stubs:
    del sys.modules[_name]
django.request_class = Utf8WSGIRequest
application = ShortPath(django)
background.start()
# What is loaded now stays. A collection that skips it pauses all requests for a shorter time.
gc.freeze()
gc.enable()
