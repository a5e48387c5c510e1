"""The Django project: settings, root URLs, middleware and the entry points of servers."""
