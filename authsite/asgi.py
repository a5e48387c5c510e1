"""The ASGI application. It runs in the production environment unless ENVIRONMENT is set."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from authsite.requests import Utf8ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

application = get_asgi_application()
application.request_class = Utf8ASGIRequest

# Each server process sends emails.
from accounts.mail import sender  # noqa: E402 its models need Django to be set up

sender.start()
if settings.AUTHSITE.redis_url:
    from accounts.throttle import redis_store  # its library takes 10 MB

    redis_store.look_at_start()
