"""The Django project: settings, root URLs, middleware and the entry points of the server."""

__version__ = "1.0.0"
