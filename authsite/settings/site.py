"""Our own settings, read and checked once: ``settings.AUTHSITE``."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values

from accounts.common.environment import ConfigError, read

BASE_DIR = Path(__file__).resolve().parents[2]

# What the site writes, the database before all, is nothing for others on the machine.
os.umask(os.umask(0o077) | 0o007)

# ``manage.py`` and ``make run`` prefer development; whatever else starts the site, production.
_preferred = {"ENVIRONMENT": os.environ.get("ENVIRONMENT_DEFAULT", "production")}
_dotenv = {name: value or "" for name, value in dotenv_values(BASE_DIR / ".env").items()}
try:
    AUTHSITE = read({**_preferred, **_dotenv, **os.environ}, BASE_DIR)
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from None

# Off in development too: a page that shows settings and variables is a page that leaks them.
DEBUG = False
SECRET_KEY = AUTHSITE.secret_key
SECRET_KEY_FALLBACKS = list(AUTHSITE.secret_key_fallbacks)
USE_TZ = True
TIME_ZONE = "UTC"
