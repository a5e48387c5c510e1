"""Django's settings. The settings for operators are in ``accounts.common.config``."""

from authsite.settings.site import *  # noqa: I001 the order is for readers
from authsite.settings.apps import *
from authsite.settings.storage import *
from authsite.settings.http import *
from authsite.settings.pages import *
from authsite.settings.api import *
