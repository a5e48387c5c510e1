"""Templates, languages, static files."""

import json

from authsite.settings.site import AUTHSITE, BASE_DIR

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
# By the names that their speakers look for.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "authsite.formats"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
_FOLDER = AUTHSITE.data_dir / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "authsite.static.Storage", "OPTIONS": {"location": _FOLDER}},
}


def _is_collected() -> bool:
    """Whether ``collectstatic`` has run since a file, or a library, was changed."""
    manifest, folder = _FOLDER / "staticfiles.json", BASE_DIR / "static"
    files = [path for path in folder.rglob("*") if path.is_file()]
    newest = max(path.stat().st_mtime for path in (*BASE_DIR.glob("requirements.txt"), *files))
    if not manifest.is_file() or manifest.stat().st_mtime < newest:
        return False
    # A file may have come with an old date: from an archive, by rsync.
    names = {path.relative_to(folder).as_posix() for path in files}
    return names <= json.loads(manifest.read_text())["paths"].keys()


# None while they aren't: each file is then served as it lies, and kept for a minute.
STATIC_ROOT = _FOLDER if _is_collected() else None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["png", "woff2", "map"]
WHITENOISE_ALLOW_ALL_ORIGINS = False
