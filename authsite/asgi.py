"""The ASGI application. It runs in the production environment unless ENVIRONMENT is set."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

application = get_asgi_application()

from authsite import background  # noqa: E402 it imports models, which need Django to be set up
from authsite.middleware import Utf8ASGIRequest  # noqa: E402 the same

application.request_class = Utf8ASGIRequest
background.start()
