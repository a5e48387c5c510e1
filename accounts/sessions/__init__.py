"""Sessions of browsers and API clients. A copy of the database is not enough to use a session."""
