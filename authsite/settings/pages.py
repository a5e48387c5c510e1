"""Settings of templates, languages, static files, the user model and passwords.

allauth is used only for the external providers.
"""

import json

from authsite.settings import AUTHSITE, BASE_DIR

# The operator's own templates and texts come before ours.
_OWN = [AUTHSITE.templates_dir] if AUTHSITE.templates_dir else []

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [*_OWN, BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "authsite.context.site",
            ],
        },
    }
]
FORM_RENDERER = "accounts.common.forms.Renderer"

LANGUAGE_CODE = "en"
# The name of each language is in the language itself.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [*(folder / "locale" for folder in _OWN), BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "authsite.formats"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
_FOLDER = AUTHSITE.data_dir / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "authsite.static.Storage", "OPTIONS": {"location": _FOLDER}},
}


def _is_collected() -> bool:
    """Return whether ``collectstatic`` has run since the last change of a file or library."""
    manifest, folder = _FOLDER / "staticfiles.json", BASE_DIR / "static"
    files = [path for path in folder.rglob("*") if path.is_file()]
    newest = max(path.stat().st_mtime for path in (*BASE_DIR.glob("requirements.txt"), *files))
    if not manifest.is_file() or manifest.stat().st_mtime < newest:
        return False
    # A new file may have an old date, such as one from an archive.
    names = {path.relative_to(folder).as_posix() for path in files}
    return names <= json.loads(manifest.read_text())["paths"].keys()


# None if files are not collected. They are then served from the source and cached for a minute.
STATIC_ROOT = _FOLDER if _is_collected() else None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["png", "woff2", "map"]
WHITENOISE_ALLOW_ALL_ORIGINS = False


AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.signin.services.LoadOnlyBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"

PASSWORD_HASHERS = [
    "accounts.passwords.hashers.Argon2id",
    # For the hashes of imported accounts, which are replaced at the next sign-in.
    *(
        f"accounts.passwords.foreign.{name}"
        for name in ("Foreign", "Sealed", "Wrapped", "DjangoPbkdf2", "DjangoScrypt")
    ),
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "accounts.passwords.strength.CompromisedPasswordValidator"},
    {"NAME": "accounts.passwords.strength.SiteWordsValidator"},
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
]

ACCOUNT_ADAPTER = "accounts.social.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
# With a cache in the database, allauth's rate limits take 83 statements per sign-in and lose
# counts. The site has its own limits in ``accounts.throttle``.
ACCOUNT_RATE_LIMITS = False
# Providers and their credentials come from the site's own settings: see ``accounts.social``.
SOCIALACCOUNT_ADAPTER = "accounts.social.adapter.SocialAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    # The newest version of the API: developers.facebook.com/docs/graph-api/changelog
    "facebook": {"VERSION": "v26.0", "FIELDS": ["id", "name", "email"]},
    "twitter_oauth2": {"FIELDS": ["id", "name", "username"]},
}
