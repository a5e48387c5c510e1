"""The ASGI application. It runs in the production environment unless ENVIRONMENT is set."""

import os

from django.core.asgi import get_asgi_application

from authsite.requests import Utf8ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

application = get_asgi_application()
application.request_class = Utf8ASGIRequest

from authsite import background  # noqa: E402 it imports models, which need Django to be set up

background.start()
