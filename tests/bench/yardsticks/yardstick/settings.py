"""The settings that ``startproject`` writes, with what the libraries' documentation adds.

The environment variable ``STOCK`` is JSON: members of the default database, and the algorithm that
signs tokens. The cost of a password hash is this site's, so that the comparison is fair.
"""

import json
import os
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from stock.settings import *

_given = json.loads(os.environ["STOCK"])

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "yardstick.urls"
DATABASES["default"].update(_given["database"])
PASSWORD_HASHERS = ["yardstick.hashers.Argon2"]

INSTALLED_APPS += [
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.usersessions",
    "django.contrib.humanize",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# This site mails at sign-up, also into files.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
MAILERS["default"] = {
    "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
    "OPTIONS": {"file_path": Path.cwd() / "mail"},
}
# All connections of the benchmark come from one IP address.
ACCOUNT_RATE_LIMITS = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}
# By default, simplejwt signs with HS256 and the SECRET_KEY.
if _given["algorithm"] == "ES256":
    # Each process makes a key of its own: only one process serves, and the others sign nothing.
    _key = generate_private_key(SECP256R1())
    _public = _key.public_key().public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)
    _private = _key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
    SIMPLE_JWT |= {
        "ALGORITHM": "ES256",
        "SIGNING_KEY": _private.decode(),
        "VERIFYING_KEY": _public.decode(),
    }
