"""The settings that ``startproject`` writes, with what the libraries' documentation adds.

The cost of a password hash and the algorithm and size of the signing key are this site's, so that
the comparison is fair.
"""

import json
import os
from datetime import timedelta

from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from stock.settings import *

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "yardstick.urls"
DATABASES["default"].update(json.loads(os.environ["STOCK_DATABASE"]))
PASSWORD_HASHERS = ["yardstick.hashers.Argon2"]

INSTALLED_APPS += [
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
# Each process makes a key of its own: only one process serves, and the others sign nothing.
_key = generate_private_key(65537, 3072)
_public = _key.public_key().public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)
_private = _key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
SIMPLE_JWT = {
    "ALGORITHM": "RS256",
    "SIGNING_KEY": _private.decode(),
    "VERIFYING_KEY": _public.decode(),
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}
