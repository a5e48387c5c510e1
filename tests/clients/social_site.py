"""A Django site that signs people in by python-social-auth, and greets them."""

import os
import sys

import django
import social_settings
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    **{name: value for name, value in vars(social_settings).items() if name.isupper()},
    ALLOWED_HOSTS=["shop.example.org"],
    SECRET_KEY=os.environ["SECRET_KEY"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SESSION_COOKIE_SECURE=True,
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "social_django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    LOGIN_REDIRECT_URL="/",
)
django.setup()

from django.http import HttpResponse  # noqa: E402 it reads the settings
from django.urls import include, path  # noqa: E402 as above

urlpatterns = [
    path("", lambda request: HttpResponse(f"Hello {request.user.username}")),
    path("", include("social_django.urls")),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
