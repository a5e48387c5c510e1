"""Reads and validates the site's own settings once, and stores them in ``settings.AUTHSITE``."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values

from accounts.common.environment import ConfigError, read
from authsite import __version__

BASE_DIR = Path(__file__).resolve().parents[2]

# Other users of the machine cannot read the files that the site writes, such as the database.
os.umask(os.umask(0o077) | 0o007)

# ``manage.py`` and ``make run`` default to development, everything else to production.
_preferred = {"ENVIRONMENT": os.environ.get("ENVIRONMENT_DEFAULT", "production")}
_dotenv = {name: value or "" for name, value in dotenv_values(BASE_DIR / ".env").items()}
try:
    AUTHSITE = read({**_preferred, **_dotenv, **os.environ}, BASE_DIR, _dotenv)
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from None

VERSION = __version__
# False in development, too, because debug pages leak settings and variables.
DEBUG = False
SECRET_KEY = AUTHSITE.secret_key
SECRET_KEY_FALLBACKS = list(AUTHSITE.secret_key_fallbacks)
USE_TZ = True
TIME_ZONE = "UTC"
