"""Django's settings, grouped by subject.

The settings for operators are in ``accounts.common.config``. They are read and validated once, and
are then available as ``settings.AUTHSITE``.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from dotenv import dotenv_values

from accounts.common import setting_parsers
from accounts.common.brand.files import VARIANTS
from accounts.common.environment import ConfigError, read
from authsite import __version__

BASE_DIR = Path(__file__).resolve().parents[1]

# Other users of the machine cannot read the files that the site writes, such as the database.
os.umask(os.umask(0o077) | 0o007)

# ``manage.py`` and ``make run`` default to development, everything else to production.
_preferred = {"ENVIRONMENT": os.environ.get("ENVIRONMENT_DEFAULT", "production")}
_dotenv = {name: value or "" for name, value in dotenv_values(BASE_DIR / ".env").items()}
try:
    AUTHSITE = read({**_preferred, **_dotenv, **os.environ}, BASE_DIR, _dotenv)
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from None

VERSION = __version__
# False in development, too, because debug pages leak settings and variables.
DEBUG = False
SECRET_KEY = AUTHSITE.secret_key
SECRET_KEY_FALLBACKS = list(AUTHSITE.secret_key_fallbacks)
USE_TZ = True
TIME_ZONE = "UTC"

# The installed apps, and the middleware in the order in which requests pass it.

INSTALLED_APPS = [
    "accounts.apps.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "authsite.static.Files",
    "django.forms",
    # Installed for their translations and static files.
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "accounts.apps.AccountsConfig",
    "accounts.administration",
    "accounts.webhooks",
    "accounts.scim",
    *(["accounts.oauth"] if AUTHSITE.openid_provider == "on" else []),
]

MIDDLEWARE = [
    # Outermost, so that every request has an id and a log line.
    "authsite.serving.access_log.RequestMiddleware",
    # Adds headers to every response, including those of the middleware below.
    "authsite.middleware.HeadersMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "authsite.middleware.BodyMiddleware",
    # Finds the client's IP address and scheme.
    "authsite.middleware.ClientMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Before the middleware that refuses API calls, so that scripts can read the refusals.
    "corsheaders.middleware.CorsMiddleware",
    "authsite.middleware.PublicCorsMiddleware",
    "authsite.middleware.GateMiddleware",
    "authsite.middleware.CombinedMailsMiddleware",
    # API calls end here. The middleware below is for browsers.
    "authsite.middleware.ApiMiddleware",
    "authsite.static.Middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.sessions.current.AuthenticationMiddleware",
    # From here on, error pages are in the user's language.
    "authsite.middleware.LocaleMiddleware",
    # Every view requires sign-in unless it is marked as public.
    "accounts.sessions.current.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "authsite.middleware.PublicErrorMiddleware",
]

ROOT_URLCONF = "authsite.urls"
WSGI_APPLICATION = "authsite.wsgi.application"

# The database, outgoing email and the logs.

_database: dict[str, Any] = setting_parsers.parse_database_url(AUTHSITE.database_url) | {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    # PgBouncer may give the connection with the cursor to another client between transactions.
    "DISABLE_SERVER_SIDE_CURSORS": True,
}
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Otherwise a transaction that reads and then writes fails if another one writes in between.
        "transaction_mode": "IMMEDIATE",
        # A server must respond within five seconds. Commands can wait longer.
        "timeout": 4 if os.environ.get("AUTHSITE_SERVES") else 20,
        # Overwrites most deleted values with zeros; ``accounts.deletion.erasure`` does the rest.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;"
            # In KiB; each thread of a server has a cache. The operating system caches the pages of
            # the file.
            f"PRAGMA cache_size={-512 if os.environ.get('AUTHSITE_SERVES') else -2000};"
        ),
    }
# Servers have time limits, because clients wait for them. Migrations and commands have none.
elif os.environ.get("AUTHSITE_SERVES"):
    _database["ENGINE"] = "authsite.postgresql"
    # Options of the URL take precedence over these.
    _database["OPTIONS"] = {"connect_timeout": 3, "tcp_user_timeout": 4500} | _database["OPTIONS"]

DATABASES = {"default": _database}


# The time limit for each step of an SMTP connection. After a timeout, the outbox tries again later.
TIMEOUT_SECONDS = 10


def mailer(email_url: str) -> dict[str, Any]:
    """Return the entry of ``MAILERS`` for the value of the setting ``EMAIL_URL``."""
    url = urlsplit(email_url)
    if url.scheme == "file":
        folder = url2pathname(url.path)
        return {"BACKEND": "accounts.mail.services.FileBackend", "OPTIONS": {"folder": folder}}
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": url.hostname or "localhost",
            "port": url.port or {"smtp": 587, "smtps": 465, "smtp+plain": 25}[url.scheme],
            "username": unquote(url.username or ""),
            "password": unquote(url.password or ""),
            "use_tls": url.scheme == "smtp",
            "use_ssl": url.scheme == "smtps",
            "timeout": TIMEOUT_SECONDS,
        },
    }


MAILERS = {"default": mailer(AUTHSITE.email_url)}
DEFAULT_FROM_EMAIL = AUTHSITE.mail_from


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "accounts.common.logs.Formatter", "development": AUTHSITE.development}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": AUTHSITE.lowest_log_level},
    "loggers": {
        # Django's own handlers would log each event twice, or send it by email.
        "django": {"handlers": [], "level": "NOTSET", "propagate": True},
        # Refused requests are already in the request log.
        "django.request": {"level": "ERROR"},
        # The request log also contains the requests that runserver logs.
        "django.server": {"handlers": [], "level": "CRITICAL"},
        # Otherwise anybody could fill the log with tracebacks, by wrong Host headers or too many
        # parameters. The request log contains these requests, too.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.RequestDataTooBig": {"level": "CRITICAL"},
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
        "django.security.TooManyFilesSent": {"level": "CRITICAL"},
    },
}

# Hosts, cookies and security headers.

ALLOWED_HOSTS = [AUTHSITE.hostname]
if AUTHSITE.development:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]

SECURE_SSL_REDIRECT = AUTHSITE.https
SECURE_SSL_HOST = AUTHSITE.host
# Monitoring may reach a node directly, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Pages may not use these browser features. Passkeys and the clipboard are allowed.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope"),
        *("magnetometer", "microphone", "midi", "payment", "usb", "xr-spatial-tracking"),
    )
)

# ``__Host-`` binds a cookie to this host and requires Secure (RFC 6265bis section 4.1.3.2).
_PREFIX = "__Host-" if AUTHSITE.https else ""
SESSION_COOKIE_NAME = f"{_PREFIX}sessionid"
SESSION_COOKIE_SECURE = AUTHSITE.https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = AUTHSITE.session_days * 24 * 3600
SESSION_ENGINE = "accounts.sessions.store"

KNOWN_COOKIE_NAME = f"{_PREFIX}known"
TRUSTED_COOKIE_NAME = f"{_PREFIX}trusted"
LAST_METHOD_COOKIE_NAME = f"{_PREFIX}last-method"
REFRESH_COOKIE_NAME = f"{_PREFIX}refresh"
AUTHORIZE_COOKIE_NAME = f"{_PREFIX}authorize"
LOGOUT_COOKIE_NAME = f"{_PREFIX}logout"
# Set on the hosts of apps behind a proxy, which always use HTTPS.
FORWARD_COOKIE_NAME = "__Host-forward"

CSRF_COOKIE_NAME = f"{_PREFIX}csrftoken"
CSRF_COOKIE_SECURE = AUTHSITE.https
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_NAME = f"{_PREFIX}django_language"
LANGUAGE_COOKIE_SECURE = AUTHSITE.https
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600

# The value is "light" or "dark", if the reader has chosen one.
THEME_COOKIE_NAME = f"{_PREFIX}theme"

CSRF_FAILURE_VIEW = "authsite.errors.csrf_failure"

MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

type Policy = dict[str, list[str]]

_CSP_COMMON: Policy = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.NONCE, CSP.STRICT_DYNAMIC],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "object-src": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_CSP: Policy = {**_CSP_COMMON, "require-trusted-types-for": ["'script'"]}
# The strength meter of a new password, and the progress of an export, send requests by script.
SECURE_CSP_FETCH: Policy = {**SECURE_CSP, "connect-src": [CSP.SELF]}
# Django's admin sends requests by script, and its jQuery does not work with Trusted Types.
SECURE_CSP_ADMIN: Policy = {**_CSP_COMMON, "connect-src": [CSP.SELF]}
# Swagger UI loads the description of the API and sends calls by script. Its style sheet contains
# ``data:`` images.
SECURE_CSP_API_DOCS: Policy = {
    **_CSP_COMMON,
    "connect-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
}

# Large enough that a form can show its own error for a field with a megabyte of text.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 250

# Templates, languages, static files, the user model and passwords. allauth is used only for the
# external providers.

# The operator's own templates and texts take precedence.
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
                "accounts.templatetags.site.variables",
            ],
        },
    }
]
FORM_RENDERER = "accounts.common.forms.Renderer"

LANGUAGE_CODE = "en"
# The name of each language is written in that language.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("it", "Italiano"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt-br", "Português (Brasil)"),
    ("ja", "日本語"),
    ("ar", "العربية"),
]
LOCALE_PATHS = [
    *(folder / "locale" for folder in _OWN),
    *(VARIANTS / name for name in AUTHSITE.language_variants),
    BASE_DIR / "locale",
]
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
    # The date alone is not sufficient: a new file may have an old date, for example from an
    # archive.
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
    {
        "NAME": f"{_VALIDATION}.MinimumLengthValidator",
        "OPTIONS": {"min_length": AUTHSITE.shortest_password},
    },
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

# The API and its OpenAPI schema. Calls require credentials by default.

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.apikeys.authentication.KeyAuthentication",
        "accounts.tokens.authentication.Authentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.tokens.authentication.InScope"],
    "DEFAULT_PARSER_CLASSES": ["accounts.common.api.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.common.api.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "accounts.calls.lists.Lists",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # OPTIONS requests get no description of the call, because the OpenAPI schema describes it.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "authsite.errors.api_error",
}

# Values that simplejwt requires. The site signs tokens with its own keys, never with SECRET_KEY.
SIMPLE_JWT: dict[str, Any] = {"ALGORITHM": "ES256", "SIGNING_KEY": "", "USER_ID_CLAIM": "sub"}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": f"{AUTHSITE.site_name} API",
    "DESCRIPTION": (
        "Accounts over JSON. Sign up with `users/`, sign in with `token/`, then send the access "
        "token: `Authorization: Bearer …`. It lives for minutes; `token/refresh/` gives the next "
        "one. Any service verifies it with the keys at `/.well-known/jwks.json` alone.\n\n"
        "Errors have a `detail` and a `code`, or sentences by field."
    ),
    "VERSION": VERSION,
    "CONTACT": {"name": AUTHSITE.site_name, "url": f"{AUTHSITE.origin}/help/"},
    "TAGS": [
        {"name": name, "description": description}
        for name, description in {
            "users": "Create an account, and read one.",
            "email": "Confirm the email address of a new account.",
            "token": "Sign in from a program, stay signed in, and sign out.",
            "reauthenticate": "Confirm that it is still the same person.",
            "session": "Sign in from a page in a browser, which never sees the refresh token.",
            "passkeys": "Sign in with a passkey, and add passkeys to your account.",
            "factors": "Your own second factors.",
            "providers": "Your own accounts at other sites that sign in here.",
            "me": "Your own profile.",
            "invitation": "Create an account by invitation.",
            "config": "What this site offers.",
            "login": "Sign in with an emailed code.",
            "password": "Change the password, or reset it by email.",
            "browsers": "The browsers in which you have signed in.",
            "emails": "Your own email addresses.",
            "sessions": "Where you are signed in.",
            "keys": "Your own API keys.",
            **(
                {"apps": "The apps that you sign in to with your account here."}
                if AUTHSITE.openid_provider == "on"
                else {}
            ),
            "admin": "For staff: find users, and help them.",
            "activity": "Your own security history.",
        }.items()
    ],
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": AUTHSITE.origin}],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    # Without ``postprocess_schema_enums``, which gives names to lists of words. In a Go client, two
    # lists with an equal word would not compile.
    "POSTPROCESSING_HOOKS": ["accounts.ops.openapi.complete"],
}

# Only scripts of these origins may call the API. Only the calls below ``session/`` read a cookie,
# and these calls check the origin, too.
CORS_ALLOWED_ORIGINS = list(AUTHSITE.cors_origins)
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_METHODS = ["GET", "POST", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = [
    *("authorization", "content-type", "dpop", "x-requested-with", "accept-language"),
    *("idempotency-key", "if-match", "if-none-match"),
]
CORS_EXPOSE_HEADERS = [
    *("retry-after", "www-authenticate", "location", "x-request-id", "dpop-nonce"),
    *("etag", "ratelimit", "ratelimit-policy"),
]
CORS_PREFLIGHT_MAX_AGE = 600
