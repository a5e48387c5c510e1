"""The WSGI application. It runs in the production environment unless ENVIRONMENT is set."""

import gc
import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

# While modules are imported, the garbage collector finds next to nothing, and takes a tenth of the
# time.
gc.disable()
# REST framework imports these libraries if they are installed: for its test client and its own
# documentation, and for fields that only PostgreSQL has. They take 11 MB. Importing a module whose
# entry is None fails as if it were not installed.
UNUSED = {"pygments", "requests"}
if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    UNUSED.add("django.contrib.postgres")
hidden = dict.fromkeys(UNUSED - sys.modules.keys())
sys.modules |= hidden  # type: ignore[arg-type]  # None is allowed
import rest_framework.compat  # noqa: E402, F401

for name in hidden:
    del sys.modules[name]
django = get_wsgi_application()

from authsite import background  # noqa: E402 it imports models, which need Django to be set up
from authsite.middleware import Utf8WSGIRequest  # noqa: E402 the same
from authsite.short_path import ShortPath  # noqa: E402 the same

django.request_class = Utf8WSGIRequest
application = ShortPath(django)
background.start()
# What is loaded now stays. A collection that skips it pauses all requests for a shorter time.
gc.freeze()
gc.enable()
