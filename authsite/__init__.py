"""The Django project: settings, root URLs, middleware and the entry points of servers."""

__version__ = "1.0.0"
