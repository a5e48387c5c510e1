"""Logs: one line an event on the error stream."""

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
        # Django's own handlers would say everything twice, or mail it.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # That a request was refused is in its own line.
        "django.request": {"level": "ERROR"},
        # So is a Host that isn't ours: any stranger could fill the log with traces.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
