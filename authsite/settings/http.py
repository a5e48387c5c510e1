"""Settings of hosts, cookies and security headers."""

from django.utils.csp import CSP

from authsite.settings import AUTHSITE

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
# Pages may not use these features of a browser. Passkeys and the clipboard stay allowed.
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
# On the hosts of apps behind a proxy, which always use HTTPS.
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
