"""What an ASGI server runs. Production unless told otherwise."""

import os

from django.core.asgi import get_asgi_application

from authsite.requests import Utf8ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
os.environ["AUTHSITE_SERVES"] = "1"

application = get_asgi_application()
application.request_class = Utf8ASGIRequest

# Below, since its models need Django to be ready: this process sends the mail it posts.
from accounts.mail import sender  # noqa: E402

sender.start()
