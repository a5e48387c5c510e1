"""Settings of the logs: each event is one line on the standard error stream."""

from authsite.settings.site import AUTHSITE

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
        # Likewise the requests that runserver logs.
        "django.server": {"handlers": [], "level": "CRITICAL"},
        # Otherwise anybody could fill the log with tracebacks, by wrong Host headers or by too many
        # parameters. The requests are in the request log, too.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.RequestDataTooBig": {"level": "CRITICAL"},
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
        "django.security.TooManyFilesSent": {"level": "CRITICAL"},
    },
}
