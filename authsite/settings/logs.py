"""Logging: one line per event on the standard error stream."""

from authsite.settings.site import AUTHSITE

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "accounts.common.logs.formatter", "development": AUTHSITE.development}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's own handlers would log each event twice, or send it by mail.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # The request log has the refused requests already.
        "django.request": {"level": "ERROR"},
        # A stranger who sends foreign Host headers could fill the log with tracebacks.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
